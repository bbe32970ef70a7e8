//! Functions that follow jq where those of jaq differ.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str;

use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Cv, RunPtr, ValXs};
use jaq_json::{Map, Num, Rc, Val};
use serde_json::value::RawValue;

use super::bounds::BoundedFilter;
use super::exact_value::ExactValue;
use super::patterns::{find, find_and_split, split};
use super::write::write_line;
use crate::format::nests_too_deep;

type FilterError = jaq_core::Error<Val>;

/// Returns the functions. They must precede those of jaq, whose functions of the same names then have no effect.
pub fn functions() -> impl Iterator<Item = Fun<BoundedFilter>> {
    let functions: [(&str, usize, RunPtr<BoundedFilter>); 6] = [
        ("delpaths", 1, |cv| {
            unary(cv, |value, paths| {
                let Val::Arr(paths) = &paths else { return Err(fault("paths must be an array")) };
                delete(&value, &paths.iter().map(steps).collect::<Result<Vec<_>, _>>()?)
            })
        }),
        ("fromjson", 0, |cv| bome(cv.1.try_as_utf8_bytes_owned().and_then(|text| parse(&text)))),
        ("tojson", 0, to_json),
        ("matches", 2, |cv| bome(find(cv))),
        ("split_", 2, |cv| bome(split(cv))),
        ("split_matches", 2, |cv| bome(find_and_split(cv))),
    ];
    functions.into_iter().map(|(name, arity, function)| run::<BoundedFilter>((name, v(arity), function)))
}

fn fault(reason: &str) -> FilterError {
    FilterError::str(reason)
}

fn to_json((_, value): Cv<'_, BoundedFilter>) -> ValXs<'_, Val> {
    let mut text = Vec::new();
    write_line(&value, &ExactValue::parse("null"), &mut text);
    bome(Ok(Val::utf8_str(text)))
}

/// Parses a text that consists of exactly one JSON value.
fn parse(text: &[u8]) -> Result<Val, FilterError> {
    let text = str::from_utf8(text).unwrap_or_default();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if nests_too_deep(text) => Err(fault("the JSON text is nested too deeply")),
        Ok(_) => Ok(ExactValue::parse(text).value().clone()),
        Err(error) => Err(fault(&format!("not JSON: {error}"))),
    }
}

/// Returns the steps of a path.
fn steps(path: &Val) -> Result<&[Val], FilterError> {
    match path {
        Val::Arr(steps) => Ok(steps.as_slice()),
        _ => Err(fault("a path must be an array")),
    }
}

/// Returns a value without the parts at some paths. All paths refer to the original value.
fn delete(value: &Val, paths: &[&[Val]]) -> Result<Val, FilterError> {
    let mut below = BTreeMap::<usize, Vec<&[Val]>>::new();
    for path in paths {
        let Some((step, rest)) = path.split_first() else { return Ok(Val::Null) };
        let positions = positions(value, step)?;
        if matches!(step, Val::Obj(_)) && !rest.is_empty() {
            return Err(fault("cannot delete a part of a slice"));
        }
        positions.for_each(|at| below.entry(at).or_default().push(rest));
    }
    let kept = |at: usize, part: &Val| match below.get(&at) {
        None => Some(Ok(part.clone())),
        Some(paths) if paths.iter().any(|path| path.is_empty()) => None,
        Some(paths) => Some(delete(part, paths)),
    };
    match value {
        Val::Arr(values) => {
            let kept = values.iter().enumerate().filter_map(|(at, value)| kept(at, value));
            Ok(Val::Arr(Rc::new(kept.collect::<Result<_, _>>()?)))
        }
        Val::Obj(members) => {
            let members = members.iter().enumerate();
            let kept = members.filter_map(|(at, (key, value))| kept(at, value).map(|value| Ok((key.clone(), value?))));
            Ok(Val::obj(kept.collect::<Result<Map, FilterError>>()?))
        }
        _ => Ok(value.clone()),
    }
}

/// Returns the positions in an array or object that a step refers to.
fn positions(value: &Val, step: &Val) -> Result<Range<usize>, FilterError> {
    let one = |at: Option<usize>| at.map_or(0..0, |at| at..at + 1);
    match (value, step) {
        (Val::Null, _) => Ok(0..0),
        (Val::Obj(members), Val::TStr(_)) => Ok(one(members.get_index_of(step))),
        (Val::Arr(values), Val::Num(index)) => Ok(one(index_of(index, values.len()).filter(|at| *at < values.len()))),
        (Val::Arr(values), Val::Obj(slice)) => {
            let length = values.len();
            let bound = |name: &'static str, default| match slice.get(&Val::utf8_str(name.as_bytes())) {
                Some(Val::Num(index)) => index_of(index, length).unwrap_or(0).min(length),
                _ => default,
            };
            Ok(bound("start", 0)..bound("end", length))
        }
        _ => Err(fault(&format!("cannot delete {step} of {value}"))),
    }
}

/// Returns the position of an index, which counts from the end if it is negative.
fn index_of(index: &Num, length: usize) -> Option<usize> {
    let index = index.as_isize()?;
    let from_end = length.checked_sub(index.unsigned_abs());
    usize::try_from(index).ok().or(from_end)
}
