//! What a device's search for slopes proves, as a stage of its own.

use std::sync::Arc;

use super::ahead::Ahead;
use crate::attack::Worker;
use crate::plan::{Ball, Done, Known, Stage};

/// alpha-CROWN by a device that has CROWN's bounds from before; adds nothing where it has no answer.
#[derive(Debug)]
pub struct Searched(pub Arc<Ahead>);

impl Stage for Searched {
    fn name(&self) -> &'static str {
        "alpha-crown"
    }

    fn settle(&self, _: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        if let Some(margins) = self.0.bounds(ball).and_then(|bounds| bounds.slopes) {
            known.raise(&margins);
        }
        Ok(Default::default())
    }

    fn backend(&self, index: usize) -> Option<&str> {
        self.0.searched(index).map(|(backend, _)| backend)
    }

    fn seconds(&self, index: usize) -> Option<f64> {
        self.0.searched(index).map(|(_, seconds)| seconds)
    }
}
