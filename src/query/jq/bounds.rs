//! Bounds the stack and the number of steps of a filter.
//!
//! jaq recurses without a limit, and a stack overflow would abort the program. At each step, jaq asks for the table of
//! terms of the filter. That call stops a filter that exceeds its bounds, by unwinding.

use std::any::Any;
use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use jaq_core::data::HasLut;
use jaq_core::{DataT, Lut};
use jaq_json::Val;

/// The data type of filters that can be stopped.
pub struct BoundedFilter;

impl DataT for BoundedFilter {
    type V<'a> = Val;
    type Data<'a> = BoundedLut<'a>;
}

/// The terms of a filter, and its bounds.
#[derive(Clone, Copy)]
pub struct BoundedLut<'b> {
    pub lut: &'b Lut<BoundedFilter>,
    pub bounds: &'b Bounds<'b>,
}

impl<'b> HasLut<'b, BoundedFilter> for BoundedLut<'b> {
    fn lut(&self) -> &'b Lut<BoundedFilter> {
        self.bounds.count_step();
        self.lut
    }
}

/// The reason why a filter was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It exceeded its steps or its stack.
    Exhausted,
    /// The receiver needs no more of its values.
    Cancelled,
}

/// The bounds of a filter that runs on this thread.
#[derive(Debug)]
pub struct Bounds<'b> {
    /// An address on the stack near the start of the filter.
    base: usize,
    max_stack_bytes: usize,
    /// The number of steps that are left.
    steps: Cell<u64>,
    cancelled: &'b AtomicBool,
}

impl<'b> Bounds<'b> {
    /// Limits the filter that runs from here on to this number of stack bytes and steps.
    pub fn new(max_stack_bytes: usize, max_steps: u64, cancelled: &'b AtomicBool) -> Self {
        Self { base: stack_address(), max_stack_bytes, steps: Cell::new(max_steps), cancelled }
    }

    fn count_step(&self) {
        let steps = self.steps.get();
        self.steps.set(steps.saturating_sub(1));
        if steps == 0 || self.base.abs_diff(stack_address()) > self.max_stack_bytes {
            resume_unwind(Box::new(Stop::Exhausted));
        }
        if self.cancelled.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Stop::Cancelled));
        }
    }
}

/// Calls `run`, which runs a filter within bounds.
///
/// # Errors
/// Returns the reason if the filter was stopped.
pub fn catch_stop<T>(run: impl FnOnce() -> T) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic: Box<dyn Any + Send>| match panic.downcast::<Stop>() {
        Ok(stop) => *stop,
        Err(panic) => resume_unwind(panic),
    })
}

/// Returns the address of a variable on the stack.
#[inline(never)]
fn stack_address() -> usize {
    let variable = 0_u8;
    std::ptr::from_ref(black_box(&variable)).addr()
}
