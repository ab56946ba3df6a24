//! The host side of Certus: models and data in, verdicts out.

pub mod alpha;
pub mod attack;
pub mod blob;
pub mod cli;
pub mod cover;
pub mod cpu;
pub mod dataset;
pub mod error;
pub mod geometry;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod import;
pub mod network;
pub mod offline;
pub mod plan;
pub mod question;
pub mod radius;
pub mod relaxed;
pub mod report;
pub mod run;
pub mod slopes;
