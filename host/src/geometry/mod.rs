//! The geometry of linear regions.

pub mod search;
