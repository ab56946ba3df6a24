//! The search itself: a queue of facets, nearest first.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet, VecDeque};

use certus_engine::model::Model;
use certus_engine::region::Norm;

use super::bound::Sides;
use super::forms::{Face, Forms};
use super::network::{Network, Pattern};
use super::program::Part;
use super::tighten::{Cell, Tight};
use super::violation::{Place, Violation};
use super::{AGREE, Budget, Found};

/// Functions that are kept, in numbers: half a gigabyte.
const KEPT: usize = 1 << 26;

/// How far beyond a lost decision's boundary a violation is looked for, relative to its distance.
const SHIFTS: [f64; 5] = [1e-9, 1e-7, 5e-7, 1e-5, 1e-3];

/// Halvings between the last shift without a violation and the first with one.
const HALVINGS: usize = 4;

/// Lost decisions that are pursued after the first, where no violation can be settled at it.
const PURSUED: usize = 16;

/// A facet or a part where a decision is lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Where this margin is not positive. First among equals.
    Lost(usize),
    /// Where this flip changes its side.
    Facet(usize),
}

struct Item {
    /// Lower bound of its distance.
    key: f64,
    /// Whether that is the convex program's.
    tight: bool,
    kind: Kind,
    region: usize,
}

impl Ord for Item {
    /// The largest is the one to be looked at first: the nearest.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = other.key.total_cmp(&self.key);
        key.then_with(|| (other.kind, other.region).cmp(&(self.kind, self.region)))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

/// A region explored.
struct Explored {
    pattern: Pattern,
    /// Its functions, unless they were dropped to save memory.
    forms: Option<Forms>,
}

/// The state of a search.
pub(super) struct Search<'a> {
    net: Network,
    place: Place<'a>,
    u: Vec<f64>,
    sides: Option<Sides>,
    budget: Budget,
    queue: BinaryHeap<Item>,
    seen: HashSet<Pattern>,
    regions: Vec<Explored>,
    /// Regions whose functions are held, oldest first, and how many may be.
    held: VecDeque<usize>,
    hold: usize,
    /// No point of the box is farther.
    far: f64,
    best: Option<Violation>,
    programs: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        model: &Model<'_>,
        x: &'a [f32],
        class: usize,
        norm: Norm,
        clip: Option<(&'a [f32], &'a [f32])>,
        budget: Budget,
    ) -> Self {
        let sides = clip.map(|(lo, hi)| Sides::new(x, lo, hi));
        let far = sides.as_ref().map_or(f64::INFINITY, |sides| sides.farthest(norm));
        let size = (model.neurons() * model.inputs()).max(1);
        Self {
            net: Network::new(model, class),
            place: Place { x, clip, norm },
            u: x.iter().map(|x| f64::from(*x)).collect(),
            sides,
            budget,
            queue: BinaryHeap::new(),
            seen: HashSet::new(),
            regions: Vec::new(),
            held: VecDeque::new(),
            hold: (KEPT / size).clamp(4, 4096),
            far,
            best: None,
            programs: 0,
        }
    }

    /// Searches until the bracket closes or the budget is spent.
    pub(super) fn run(mut self) -> Found {
        self.best = self.place.violated(&self.net);
        if self.best.is_some() || !self.start() {
            return self.found(0.0);
        }
        // Where a decision is lost for all that is known; from there on only violations are sought.
        let mut lost: Option<f64> = None;
        let mut pursued = 0;
        while let Some(item) = self.queue.pop() {
            let radius = lost.unwrap_or(item.key);
            if item.key >= self.cap() || self.agrees(radius) {
                return self.found(radius);
            }
            if !item.tight {
                if self.programs >= self.budget.programs {
                    return self.found(radius);
                }
                self.tighten(item);
                continue;
            }
            match item.kind {
                Kind::Lost(row) => {
                    if pursued > PURSUED {
                        return self.found(radius);
                    }
                    (lost, pursued) = (Some(radius), pursued + 1);
                    self.pursue(&item, row);
                }
                Kind::Facet(flip) => {
                    let pattern = self.regions[item.region].pattern.flipped(flip);
                    if self.seen.contains(&pattern) {
                        continue;
                    }
                    if self.regions.len() >= self.budget.regions {
                        return self.found(radius);
                    }
                    self.explore(pattern, item.key, Some((item.region, flip)));
                }
            }
        }
        let radius = lost.unwrap_or(f64::INFINITY);
        self.found(radius)
    }

    fn found(self, radius: f64) -> Found {
        let nearest = self.best.as_ref().map_or(f64::INFINITY, |best| best.distance);
        let radius = radius.min(self.budget.limit).min(nearest);
        Found {
            radius,
            exact: nearest.is_finite() && nearest * (1.0 - AGREE) <= radius,
            violation: self.best,
            regions: self.regions.len(),
            programs: self.programs,
        }
    }

    /// Keys from here on need not be looked at.
    fn cap(&self) -> f64 {
        let nearest = self.best.as_ref().map_or(f64::INFINITY, |best| best.distance);
        nearest.min(self.budget.limit)
    }

    fn agrees(&self, radius: f64) -> bool {
        self.best.as_ref().is_some_and(|best| best.distance * (1.0 - AGREE) <= radius)
    }

    /// Explores the region of u, and where rounding leaves signs open all that it may lie in. False
    /// if these are more than the budget allows.
    fn start(&mut self) -> bool {
        let z = self.net.enclose(&self.u);
        let mut pattern = Pattern::new(self.net.flips.len());
        let mut open = Vec::new();
        for (i, flip) in self.net.flips.iter().enumerate() {
            let (value, error) = (z[flip.layer].value[flip.unit], z[flip.layer].error[flip.unit]);
            if value > 0.0 {
                pattern = pattern.flipped(i);
            }
            if !(value.abs() > error) {
                open.push(i);
            }
        }
        let mut next = vec![pattern];
        while let Some(pattern) = next.pop() {
            if self.seen.contains(&pattern) {
                continue;
            }
            if self.regions.len() >= self.budget.regions {
                return false;
            }
            let region = self.explore(pattern.clone(), 0.0, None);
            let forms = self.forms(region);
            let flips = open.iter().filter(|flip| !forms.is_zero(&self.net, **flip));
            next.extend(flips.map(|flip| pattern.flipped(*flip)));
        }
        true
    }

    /// Adds a region no point of which is nearer than `floor`, by the flip that leads to it.
    fn explore(&mut self, pattern: Pattern, floor: f64, by: Option<(usize, usize)>) -> usize {
        let dual = self.place.norm.dual();
        let forms = {
            let parent = by.map(|(parent, flip)| (self.forms(parent), self.net.flips[flip].layer));
            let shared = parent.as_ref().map(|(forms, layer)| (forms, *layer));
            Forms::new(&self.net, &pattern, &self.u, dual, shared)
        };
        let region = self.regions.len();
        self.seen.insert(pattern.clone());
        let bending: Vec<usize> =
            (0..self.net.flips.len()).filter(|flip| !forms.is_zero(&self.net, *flip)).collect();
        // The region is no nearer than any of its half-spaces that u is not in.
        let floor = bending
            .iter()
            .map(|flip| forms.flip(&self.net, &pattern, *flip))
            .filter(|face| face.value() < 0.0)
            .map(|face| face.distance())
            .fold(floor, f64::max);
        for row in 0..forms.margins() {
            let margin = forms.margin(row);
            let alone = if margin.value() > 0.0 { margin.distance() } else { 0.0 };
            self.push(Item { key: floor.max(alone), tight: false, kind: Kind::Lost(row), region });
        }
        for flip in bending {
            if !self.seen.contains(&pattern.flipped(flip)) {
                let alone = forms.flip(&self.net, &pattern, flip).distance();
                let kind = Kind::Facet(flip);
                self.push(Item { key: floor.max(alone), tight: false, kind, region });
            }
        }
        self.regions.push(Explored { pattern, forms: None });
        self.probe(region, &forms);
        self.keep(region, forms);
        region
    }

    /// Looks for a violation beyond the nearest of a region's decision boundaries, in the region or
    /// not.
    fn probe(&mut self, region: usize, forms: &Forms) {
        let distance = |row: &usize| forms.margin(*row).distance();
        let rows = (0..forms.margins()).filter(|row| forms.margin(*row).value() > 0.0);
        let Some(row) = rows.min_by(|a, b| distance(a).total_cmp(&distance(b))) else { return };
        if distance(&row) < self.cap() {
            let step = self.cell(region, forms).project(&forms.margin(row), Part::Beyond);
            let step = step.filter(|step| self.place.is_promising(&self.net, step));
            if let Some(step) = step {
                self.try_step(&step);
            }
        }
    }

    /// Queues what is near enough; what lies beyond the box has no points.
    fn push(&mut self, item: Item) {
        if item.key < self.cap() && item.key <= self.far {
            self.queue.push(item);
        }
    }

    /// The functions of a region, computed again if they were dropped.
    fn forms(&mut self, region: usize) -> Forms {
        if let Some(forms) = &self.regions[region].forms {
            return forms.clone();
        }
        let dual = self.place.norm.dual();
        let forms = Forms::new(&self.net, &self.regions[region].pattern, &self.u, dual, None);
        self.keep(region, forms.clone());
        forms
    }

    fn keep(&mut self, region: usize, forms: Forms) {
        self.regions[region].forms = Some(forms);
        self.held.push_back(region);
        if self.held.len() > self.hold
            && let Some(oldest) = self.held.pop_front()
        {
            self.regions[oldest].forms = None;
        }
    }

    /// Replaces an item's key by its distance within the region.
    fn tighten(&mut self, item: Item) {
        if let Kind::Facet(flip) = item.kind
            && self.seen.contains(&self.regions[item.region].pattern.flipped(flip))
        {
            return;
        }
        let forms = self.forms(item.region);
        let left = self.budget.programs - self.programs;
        let enough = self.cap().min(self.far);
        let cell = self.cell(item.region, &forms);
        let (face, part) = cell.face(item.kind);
        let found = cell.tighten(face, part, item.key, enough, left);
        let Tight { bound, step, programs } = found;
        self.programs += programs;
        if let (Kind::Lost(_), Some(step)) = (item.kind, step) {
            self.try_step(&step);
        }
        self.push(Item { key: item.key.max(bound), tight: true, ..item });
    }

    /// Looks for a violation beyond the boundary of a lost decision.
    fn pursue(&mut self, item: &Item, row: usize) {
        let forms = self.forms(item.region);
        let mut try_shift = |shift: f64| {
            if self.agrees(item.key) || self.programs >= self.budget.programs {
                return None;
            }
            self.programs += 1;
            let cell = self.cell(item.region, &forms);
            let step = cell.beyond(forms.margin(row), shift * item.key, item.key);
            Some(step.is_some_and(|step| self.try_step(&step)))
        };
        let mut low = 0.0;
        for shift in SHIFTS {
            match try_shift(shift) {
                None => return,
                Some(false) => low = shift,
                Some(true) => {
                    let mut high = shift;
                    for _ in 0..HALVINGS {
                        let middle = 0.5 * (low + high);
                        match try_shift(middle) {
                            None => return,
                            Some(true) => high = middle,
                            Some(false) => low = middle,
                        }
                    }
                    return;
                }
            }
        }
    }

    /// Whether a violation nearer than the nearest so far is at `step` or little beyond.
    fn try_step(&mut self, step: &[f64]) -> bool {
        let found = self.place.replay(&self.net, step);
        let nearest = self.best.as_ref().map_or(f64::INFINITY, |best| best.distance);
        let found = found.filter(|found| found.distance < nearest);
        let nearer = found.is_some();
        self.best = found.or(self.best.take());
        nearer
    }

    fn cell<'s>(&'s self, region: usize, forms: &'s Forms) -> Cell<'s> {
        Cell {
            net: &self.net,
            pattern: &self.regions[region].pattern,
            forms,
            norm: self.place.norm,
            sides: self.sides.as_ref(),
            inputs: self.u.len(),
        }
    }
}

impl<'a> Cell<'a> {
    fn face(&self, kind: Kind) -> (Face<'a>, Part) {
        match kind {
            Kind::Lost(row) => (self.forms.margin(row), Part::Beyond),
            Kind::Facet(flip) => (self.forms.flip(self.net, self.pattern, flip), Part::On),
        }
    }
}
