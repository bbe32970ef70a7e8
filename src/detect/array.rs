//! The strings of an array, searched as one text: the arguments of a command, the lines of a key, alternating names and
//! values.

use std::ops::Range;

use super::candidates::{Find, FindCandidates};
use super::decoded::Decoded;
use super::detector::Detector;
use super::rules::names_a_secret;
use super::strings::{JsonString, Strings};

/// The finds in the joined strings of an array.
#[derive(Debug, Default)]
pub struct ArrayFinds {
    /// The offset after the last string.
    end: usize,
    /// The finds in each string, by the offset of the string.
    finds: Vec<(usize, Find)>,
}

impl ArrayFinds {
    /// Adds the finds that a string has only together with its neighbours in the array. `strings` has just returned the
    /// string.
    pub fn add_to(
        &mut self,
        finds: Vec<Find>,
        detector: &Detector,
        line: &[u8],
        strings: &Strings<'_>,
        string: &JsonString,
    ) -> Vec<Find> {
        let Some(array) = strings.array() else { return finds };
        if string.raw.start >= self.end {
            *self = Self::of_array(array, detector, line, strings.clone(), string);
        }
        let first = self.finds.partition_point(|(start, _)| *start < string.raw.start);
        let joined = self.finds[first..].iter().take_while(|(start, _)| *start == string.raw.start);
        let mut candidates = FindCandidates::default();
        for find in joined.map(|(_, find)| find) {
            candidates.push(find.rule, find.span.clone());
        }
        if candidates.is_empty() {
            return finds;
        }
        for find in finds {
            candidates.push(find.rule, find.span);
        }
        candidates.resolve()
    }

    fn of_array(array: usize, detector: &Detector, line: &[u8], mut strings: Strings<'_>, first: &JsonString) -> Self {
        let mut elements = vec![first.raw.clone()];
        while let Some(next) = strings.next_string().filter(|_| strings.array() == Some(array)) {
            elements.push(next.raw);
        }
        let end = elements.last().map_or(first.raw.end, |last| last.end);
        if elements.len() == 1 {
            return Self { end, finds: Vec::new() };
        }
        let joined = JoinedText::new(line, &elements);
        let mut finds = Vec::new();
        for Find { span, rule } in detector.search_joined(&joined.text) {
            let first = joined.places.partition_point(|(_, place)| place.end <= span.start);
            for (start, place) in joined.places[first..].iter().take_while(|(_, place)| place.start < span.end) {
                let part = span.start.max(place.start) - place.start..span.end.min(place.end) - place.start;
                finds.push((*start, Find { span: part, rule }));
            }
        }
        Self { end, finds }
    }
}

/// The strings of an array, joined with tabs, which user names cannot contain.
struct JoinedText {
    text: String,
    /// The offset of each string in the line, and its range in the text.
    places: Vec<(usize, Range<usize>)>,
}

impl JoinedText {
    fn new(line: &[u8], elements: &[Range<usize>]) -> Self {
        let (mut text, mut places) = (String::new(), Vec::with_capacity(elements.len()));
        for raw in elements {
            let element = Decoded::new(&line[raw.clone()]);
            let element = element.text();
            let quote = if element.contains(char::is_whitespace) && !element.contains('\'') { "'" } else { "" };
            text.push_str(quote);
            places.push((raw.start, text.len()..text.len() + element.len()));
            text.push_str(element);
            text.push_str(quote);
            let is_name = element.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
            let is_name = is_name && !element.starts_with('-') && names_a_secret(element);
            text.push_str(if is_name { ":\t" } else { "\t" });
        }
        Self { text, places }
    }
}
