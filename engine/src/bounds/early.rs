//! When to try for the rows before the neurons of a layer are walked back.

use super::neurons::Task;
use super::state::State;
use super::walk::PASSES;
use crate::model::Model;

/// A try shall take at most this part of the walks back so far and of the one that it may spare.
const SHARE: u64 = 64;

/// What the layers passed have taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Early {
    /// Multiply-adds of the walks back, about.
    walked: u64,
    /// Those of the tries.
    tried: u64,
}

impl Early {
    /// Whether to finish with the intervals at hand before `task` walks its neurons back, for `rows`
    /// rows: whether all such tries together take little beside the walks.
    ///
    /// A walk: both sides of each open neuron through the live neurons of all layers below. A try: an
    /// interval step of this layer and of each above, and the rows through all layers.
    pub(super) fn pays(
        &mut self,
        model: &Model<'_>,
        state: &State<'_>,
        task: &Task<'_>,
        rows: usize,
    ) -> bool {
        let (lo, hi) = state.ends(task.k, task.layer.rows);
        let ends = lo.iter().zip(hi).enumerate();
        let open = ends.filter(|(i, (lo, hi))| task.open(*i, **lo, **hi)).count() as u64;
        let (mut below, mut each) = (model.inputs() as u64, 0);
        for j in 0..task.k {
            let live = state.live(j).len() as u64;
            each += live * (below + PASSES);
            below = live;
        }
        self.walked += 2 * open * each;
        let mut steps = 0;
        for j in task.k..model.depth() {
            let layer = model.layer(j).map_or(0, |layer| layer.rows as u64 * layer.cols as u64);
            each += layer;
            steps += 4 * layer;
        }
        let cost = self.tried + steps + rows as u64 * each;
        let pays = cost.saturating_mul(SHARE) <= self.walked;
        if pays {
            self.tried = cost;
        }
        pays
    }
}
