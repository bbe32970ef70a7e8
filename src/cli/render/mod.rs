//! Formats results for people: tables, charts, times, numbers.

pub mod axis;
pub mod duration;
pub mod findings;
pub mod provenance;
pub mod rotation;
pub mod table;
pub mod text;
pub mod timeline;
pub mod zone;
