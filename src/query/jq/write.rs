//! Writes the output values of a filter.

use std::io::Write as _;

use jaq_json::{Num, Val};

use super::exact_value::ExactValue;
use crate::error::visible;

/// Appends the JSON of a value on one line. Parts of `input` are written with their exact text.
pub fn write_line(value: &Val, input: &ExactValue<'_>, line: &mut Vec<u8>) {
    if let Some(text) = input.text(value) {
        return line.extend_from_slice(text.as_bytes());
    }
    match value {
        Val::Null => line.extend_from_slice(b"null"),
        Val::Bool(value) => line.extend_from_slice(if *value { b"true" } else { b"false" }),
        Val::Num(number) => write_number(number, line),
        Val::TStr(text) | Val::BStr(text) => write_string(text, line),
        Val::Arr(values) => {
            line.push(b'[');
            for (at, value) in values.iter().enumerate() {
                separate(at, line);
                write_line(value, input, line);
            }
            line.push(b']');
        }
        Val::Obj(members) => {
            line.push(b'{');
            for (at, (key, value)) in members.iter().enumerate() {
                separate(at, line);
                match key {
                    Val::TStr(_) | Val::BStr(_) => write_line(key, input, line),
                    // Keys in jaq need not be strings.
                    _ => write_string(key.to_string().as_bytes(), line),
                }
                line.push(b':');
                write_line(value, input, line);
            }
            line.push(b'}');
        }
    }
}

/// Appends the text of a string.
pub fn write_raw(text: &[u8], is_visible: bool, line: &mut Vec<u8>) {
    match is_visible {
        true => line.extend_from_slice(visible(&String::from_utf8_lossy(text)).as_bytes()),
        false => line.extend_from_slice(text),
    }
}

fn separate(at: usize, line: &mut Vec<u8>) {
    if at > 0 {
        line.push(b',');
    }
}

/// Appends a number. As in jq, NaN is null, and infinity is the largest number.
fn write_number(number: &Num, line: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = match number {
        Num::Float(value) if value.is_nan() => write!(line, "null"),
        Num::Float(value) if value.is_infinite() => write!(line, "{:e}", f64::MAX.copysign(*value)),
        Num::Float(value) if value.fract() == 0.0 && value.abs() < 1e17 => write!(line, "{value}"),
        _ => write!(line, "{number}"),
    };
}

fn write_string(text: &[u8], line: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(line, &String::from_utf8_lossy(text));
}
