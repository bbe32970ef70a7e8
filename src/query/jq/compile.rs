//! Compiles filters, and locates errors in them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jaq_core::compile::Undefined;
use jaq_core::load::{Arena, Error as LoadError, File, Loader, import, lex, parse};
use jaq_core::{Compiler, Filter};

use super::bounds::BoundedFilter;
use super::functions::functions;
use super::{JqFilter, StringForm};
use crate::error::visible;

/// The functions of the standard library that filters lack: those that read the environment, write to standard error,
/// or end the program.
const LEFT_OUT: [&str; 7] = ["env", "debug", "debug_empty", "stderr", "stderr_empty", "halt", "halt_error"];

/// The definitions of jaq that are replaced by functions.
const REPLACED: [&str; 1] = ["delpaths"];

/// The error of a text that is not a [`JqFilter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JqError {
    /// The offset of the error in the filter, in bytes from 0, if it is known.
    pub byte: Option<usize>,
    reason: String,
    /// The filter from that offset on.
    rest: String,
}

impl FromStr for JqFilter {
    type Err = JqError;

    fn from_str(text: &str) -> Result<Self, JqError> {
        let filter = compile(text)?;
        Ok(Self { text: text.to_owned(), filter: Arc::new(filter), strings: StringForm::default() })
    }
}

fn compile(code: &str) -> Result<Filter<BoundedFilter>, JqError> {
    let is_left_out = |name: &str| LEFT_OUT.contains(&name);
    let ours = jaq_core::load::parse(include_str!("defs.jq"), |parser| parser.defs()).unwrap_or_default();
    let theirs = jaq_core::defs().filter(|def| !REPLACED.contains(&def.name));
    let defs = theirs.chain(jaq_std::defs()).chain(jaq_json::defs()).chain(ours);
    let funs = functions().chain(jaq_core::funs()).chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let loader = Loader::new(defs.filter(|def| !is_left_out(def.name)));
    let modules = loader.load(&arena, File { code, path: () });
    let failed = |errors| first(errors).map_or_else(JqError::unknown, |error| of_load(code, error));
    let modules = modules.map_err(failed)?;
    import(&modules, |_| Err(String::new())).map_err(failed)?;
    let compiler = Compiler::default().with_funs(funs.filter(|(name, ..)| !is_left_out(name)));
    compiler.compile(modules).map_err(|errors| {
        let error = first(errors).and_then(|errors| errors.into_iter().next());
        error.map_or_else(JqError::unknown, |(name, kind)| JqError::at(code, name, undefined(&kind, name)))
    })
}

fn first<F, E>(errors: Vec<(F, E)>) -> Option<E> {
    errors.into_iter().next().map(|(_, error)| error)
}

fn of_load(code: &str, error: LoadError<&str>) -> JqError {
    let found = match error {
        LoadError::Io(errors) => {
            let of_import = |(at, _)| JqError::at(code, at, "files can't be read".to_owned());
            errors.into_iter().next().map(of_import)
        }
        LoadError::Lex(errors) => errors.into_iter().next().map(|(expected, at)| of_lexer(code, &expected, at)),
        LoadError::Parse(errors) => errors
            .into_iter()
            .next()
            .map(|(expected, at)| JqError::at(code, at, format!("expected {}", of_parser(&expected)))),
    };
    found.unwrap_or_else(JqError::unknown)
}

fn of_lexer(code: &str, expected: &lex::Expect<&str>, at: &str) -> JqError {
    let reason = match expected {
        lex::Expect::Token => "unexpected character".to_owned(),
        expected => format!("expected a {}", expected.as_str()),
    };
    JqError::at(code, at, reason)
}

fn of_parser(expected: &parse::Expect<&str>) -> String {
    match expected {
        parse::Expect::Nothing => "the end of the filter".to_owned(),
        parse::Expect::Just(token) => format!("\"{token}\""),
        parse::Expect::Term => "a value or function".to_owned(),
        expected => expected.as_str().to_owned(),
    }
}

fn undefined(kind: &Undefined, name: &str) -> String {
    match kind {
        Undefined::Filter(0) => format!("there is no function {}", visible(name)),
        Undefined::Filter(1) => format!("there is no function {} with 1 argument", visible(name)),
        Undefined::Filter(arity) => format!("there is no function {} with {arity} arguments", visible(name)),
        kind => format!("there is no {} {}", kind.as_str(), visible(name)),
    }
}

impl JqError {
    /// Creates the error for the rest of `code` from `part` on, which is a subslice of it.
    fn at(code: &str, part: &str, reason: String) -> Self {
        let byte = part.as_ptr().addr().checked_sub(code.as_ptr().addr()).filter(|byte| *byte <= code.len());
        // An empty part means the end of the code, and need not be a subslice.
        let byte = byte.or_else(|| part.is_empty().then_some(code.len()));
        let rest = byte.and_then(|byte| code.get(byte..)).unwrap_or_default().to_owned();
        Self { byte, reason, rest }
    }

    fn unknown() -> Self {
        Self { byte: None, reason: "malformed filter".to_owned(), rest: String::new() }
    }
}

impl fmt::Display for JqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { byte, reason, rest } = self;
        match byte {
            Some(byte) if !rest.is_empty() => write!(f, "{reason} at byte {byte} of the filter: {}", visible(rest)),
            Some(_) => write!(f, "{reason} at the end of the filter"),
            None => f.write_str(reason),
        }
    }
}

impl std::error::Error for JqError {}
