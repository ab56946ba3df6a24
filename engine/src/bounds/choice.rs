//! Functions carried forward: where they are asked for, and where they are worth their work, in
//! counted multiply-adds.

use super::arithmetic::Arithmetic;
use super::linear::Input;
use super::propagate::{Given, Scratch, dense_macs};
use super::state::State;
use super::walk::PASSES;
use super::{Method, Options, Tighten, Work};
use crate::model::{Layer, Model};
use crate::region::Region;
use crate::relax::is_unstable;

/// Whether functions may be carried forward: they are asked for, or they would take less than half of
/// the walks back of all neurons.
pub(super) const fn carries(model: &Model<'_>, options: &Options) -> bool {
    let asked = options.method.carries() || matches!(options.tighten, Tighten::Both);
    let most = dense_macs(model, Method::Crown, 0);
    options.carries() && (asked || 2 * dense_macs(model, Method::ForwardBackward, 0) < most)
}

/// What is to be done with the functions that a [`Scratch`] carries, layer after layer.
pub(super) struct Carry<'a> {
    model: &'a Model<'a>,
    region: &'a Region<'a>,
    options: &'a Options,
    /// How many layers have intervals to be tightened.
    tightened: usize,
    /// How many layers have functions that the next one needs.
    carried: usize,
    seen: Seen,
}

impl<'a> Carry<'a> {
    /// For a call with these options; `linear`: whether nothing follows the last layer.
    pub(super) fn new(
        model: &'a Model<'a>,
        region: &'a Region<'a>,
        options: &'a Options,
        given: &Given<'_>,
        linear: bool,
    ) -> Self {
        let last = model.depth() - 1;
        let tightened = match (given.ends.is_some(), linear && !options.every_neuron) {
            (true, _) => 0,
            (false, true) => last,
            (false, false) => last + 1,
        };
        let carried =
            if options.method == Method::Forward { last } else { tightened.saturating_sub(1) };
        Self { model, region, options, tightened, carried, seen: Seen::new() }
    }

    /// Tightens the intervals of layer `k`; gives whether they are as tight as a walk back would make
    /// them.
    pub(super) fn tighten<A: Arithmetic>(
        &mut self,
        arith: &A,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        k: usize,
        layer: &Layer<'_>,
        work: &mut Work,
    ) -> bool {
        let Scratch { input, masses, block, linear: slot, .. } = scratch;
        let Some(linear) = slot else { return false };
        let ends = state.ends(k, layer.rows);
        let ends = ends.0.iter().zip(ends.1).enumerate();
        let unstable = |(i, (lo, hi)): (usize, (&f32, &f32))| {
            usize::from(is_unstable(layer.activation_of(i), *lo, *hi))
        };
        let open: usize = ends.map(unstable).sum();
        self.seen.open = (open as u64, layer.rows as u64);
        let carry = k < self.carried;
        if k == 0 || !(carry || k < self.tightened) {
            return false;
        }
        if !self.pays(state, k) {
            *slot = None;
            return false;
        }
        let input = Input::new(self.region, input.0, input.1);
        let intersect = self.options.intersect || self.tightened == 0;
        let flags = (carry, intersect);
        let parts = (state, block, &*masses);
        let (before, after) =
            linear.step(arith, input, (k, layer), self.options, flags, parts, work);
        if !linear.is_tight() {
            self.seen.carried(before, after);
        }
        linear.is_tight()
    }

    /// Takes the functions of layer `k` through its activation, whose lines are chosen by now.
    pub(super) fn pass<A: Arithmetic>(
        &self,
        arith: &A,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        k: usize,
        layer: &Layer<'_>,
        work: &mut Work,
    ) {
        let Scratch { input, masses, linear: slot, .. } = scratch;
        let Some(linear) = slot else { return };
        if k >= self.carried {
            return;
        }
        if k == 0 {
            if !self.pays(state, 0) {
                *slot = None;
                return;
            }
            linear.begin(layer, self.options, state, masses);
        }
        let input = Input::new(self.region, input.0, input.1);
        linear.relax(arith, input, (k, layer), self.options.semantics, state, work);
    }

    /// Whether the functions of layer `k` are asked for, or worth their work.
    fn pays(&self, state: &State<'_>, k: usize) -> bool {
        self.options.method.carries()
            || self.options.tighten == Tighten::Both
            || self.seen.pays(self.model, state, k, self.tightened)
    }
}

/// What the layers passed have shown.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Neurons of the last one that the interval step left open, of so many.
    open: (u64, u64),
    /// Open neurons that carried functions settled, of so many, the last layers counting most; at
    /// first as if half of a few had been.
    settled: (u64, u64),
}

impl Seen {
    /// Before the first layer.
    const fn new() -> Self {
        Self { open: (0, 0), settled: (8, 16) }
    }

    /// Adds what carried functions did for a layer: open neurons before and after.
    fn carried(&mut self, before: usize, after: usize) {
        self.settled.0 = self.settled.0 / 2 + before.saturating_sub(after) as u64;
        self.settled.1 = self.settled.1 / 2 + before as u64;
    }

    /// Whether carrying functions through the layers `from .. to` takes less than the walks back that
    /// this may spare.
    ///
    /// Carried: two products of the inputs' width for each neuron. Back: for each open neuron both
    /// sides through all layers below. Layers not yet seen are taken to have as many live neurons in
    /// proportion as the last one seen, and half as many settled ones: intervals widen from layer to
    /// layer.
    fn pays(&self, model: &Model<'_>, state: &State<'_>, from: usize, to: usize) -> bool {
        let inputs = model.inputs() as u64;
        let share = |n: u64, (part, whole): (u64, u64)| n.saturating_mul(part) / whole.max(1);
        let known = from.saturating_sub(1);
        let live = (state.live(known).len() as u64, model.rows(known) as u64);
        let width = |j: usize| {
            if j <= known { state.live(j).len() as u64 } else { share(model.rows(j) as u64, live) }
        };
        let (mut carry, mut back) = (0u64, 0u64);
        // What both sides of one neuron of layer k take.
        let mut walk = 0u64;
        let mut below = inputs;
        for k in 0..to {
            if k >= from.max(1) {
                let rows = model.rows(k) as u64;
                let seen = share(rows, self.open);
                let each = inputs.saturating_mul(2 * width(k - 1) + PASSES);
                carry = carry.saturating_add(share(rows, live).saturating_mul(each));
                let open = if k == from { seen } else { seen.midpoint(rows) };
                back = back.saturating_add(open.saturating_mul(walk));
            }
            walk += 2 * width(k) * (below + PASSES);
            below = width(k);
        }
        carry < share(back, self.settled)
    }
}
