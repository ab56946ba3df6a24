//! Twins of the kernels of a search for slopes: `anchors`, `slopes`, `relax_own`, `least`, `forth` and
//! `ascend`.

use certus_engine::num::sums::drop_negligible;
use certus_engine::num::{NEGLIGIBLE, add_up, mul_up, sub_down, sub_up};

use super::lines::gain_up;
use super::step::{ETA, U, list, row_sums, scalar, settle};
use crate::layout::{ANCHORS, Ascend, DEPLOYED, GRAIN, LINES, SCALARS, SEARCH, Step, WHOLE};

/// What lines of any lower slope need to know of a layer's live neurons.
pub fn anchors(
    p: &Step,
    known: &[f32],
    ends: &[f32],
    feed: &[f32],
    live: &[u32],
    lines: &[f32],
    anchors: &mut [f32],
) {
    let (neurons, width, first) = (p.neurons as usize, p.width as usize, p.first as usize);
    for sample in 0..p.samples as usize {
        let (line, to) = (LINES * sample * neurons + first, ANCHORS * sample * neurons + first);
        for (k, i) in list(p, live, sample, p.layer, p.first).iter().enumerate() {
            let leak = if *i < p.through { 1.0 } else { p.leak };
            let i = *i as usize;
            let (lo, hi) = (ends[2 * sample * width + i], ends[(2 * sample + 1) * width + i]);
            let centre = known[(4 * sample + 2) * width + i];
            let of = |array: usize| lines[line + array * neurons + k];
            let mut budget = of(4);
            let moves = lo < 0.0 && hi > 0.0 && leak < 1.0 && budget > 0.0;
            let unit = |slope: f32| slope == 0.0 || slope == 1.0;
            if moves && unit(of(0)) && unit(of(1)) {
                let off = sub_up(hi, centre).max(sub_up(centre, lo));
                budget = add_up(budget, mul_up(U, mul_up(1.000_001, off)));
            }
            let middle = feed[sample * p.rows as usize + i];
            let least = if moves { leak } else { 1.0 };
            for (array, value) in [centre, middle, budget, least].into_iter().enumerate() {
                anchors[to + array * neurons + k] = value;
            }
        }
    }
}

/// Slopes that a search begins with.
pub fn slopes(p: &Step, places: &[[u32; 2]], lines: &[f32], search: &mut [f32]) {
    let neurons = p.neurons as usize;
    for [sample, place] in places {
        let own = &mut search[SEARCH * *place as usize * neurons..][..SEARCH * neurons];
        own.fill(0.0);
        own[..neurons].copy_from_slice(&lines[LINES * *sample as usize * neurons..][..neurons]);
    }
}

/// A slope from `least` to 1, whatever is proposed.
pub fn slope_within(proposed: f32, least: f32) -> f32 {
    match proposed {
        _ if proposed.is_nan() && proposed.is_sign_positive() => 1.0,
        _ if proposed.is_sign_negative() || proposed < NEGLIGIBLE => least,
        _ => proposed.clamp(least, 1.0),
    }
}

/// A neuron of a row: whether its slope moves, and the two lines' numbers that are there for it.
struct Line<'a> {
    p: &'a Step,
    lines: &'a [f32],
    anchors: &'a [f32],
    sample: usize,
    k: usize,
}

impl Line<'_> {
    fn of(&self, array: usize) -> f32 {
        let neurons = self.p.neurons as usize;
        self.lines[(LINES * self.sample + array) * neurons + self.p.first as usize + self.k]
    }

    fn anchor(&self, array: usize) -> f32 {
        let neurons = self.p.neurons as usize;
        self.anchors[(ANCHORS * self.sample + array) * neurons + self.p.first as usize + self.k]
    }

    /// Slope and gain of the side that a coefficient takes, where that is the line's own.
    fn fixed(&self, lower: bool) -> (f32, f32) {
        if lower { (self.of(0), self.of(2)) } else { (self.of(1), self.of(3)) }
    }
}

/// Lines of each row's own lower slopes in place of activations.
pub fn relax_own(
    p: &Step,
    places: &[[u32; 2]],
    live: &[u32],
    lines: &[f32],
    anchors: &[f32],
    scalars: &[f32],
    search: &mut [f32],
    floors: &mut [f32],
    a: &mut [f32],
) {
    let neurons = p.neurons as usize;
    for (slot, [sample, place]) in places.iter().enumerate() {
        let sample = *sample as usize;
        let count = list(p, live, sample, p.layer, p.first).len();
        let own = &mut search[SEARCH * *place as usize * neurons + p.first as usize..];
        let row = &mut a[slot * 4 * p.stride as usize..][..count];
        let sums = row_sums::<64, 3>(count, |k| {
            let old = drop_negligible(row[k]);
            let line = Line { p, lines, anchors, sample, k };
            let (mut slope, mut gain) = line.fixed(old > 0.0);
            let mut budget = line.of(4);
            let least = line.anchor(3);
            if least < 1.0 {
                budget = line.anchor(2);
                if old > 0.0 {
                    slope = slope_within(own[k], least);
                    gain = -gain_up(slope, 0.0, -line.anchor(0), -line.anchor(1));
                    if p.flags & DEPLOYED != 0 && least != 0.0 {
                        gain = sub_down(gain, 4.0 * ETA);
                    }
                }
            }
            let gained = old * gain;
            row[k] = drop_negligible(old * slope);
            own[3 * neurons + k] = old;
            [gained, gained.abs(), row[k].abs() * budget]
        });
        let under = scalars[scalar(p, sample, SCALARS + p.layer as usize)];
        floors[slot] = settle(p, floors[slot], sums, under);
    }
}

/// Where rows over the inputs are least.
pub fn least(
    p: &Step,
    places: &[[u32; 2]],
    feed: &[f32],
    scalars: &[f32],
    a: &[f32],
    points: &mut [f32],
) {
    let (cols, stride) = (p.cols as usize, 4 * p.stride as usize);
    for (slot, [sample, _]) in places.iter().enumerate() {
        let sample = *sample as usize;
        let row = &a[slot * stride..][..cols];
        let largest = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let often = row.iter().filter(|x| x.abs() == largest).count() as f32;
        let [squares] = row_sums::<64, 1>(cols, |k| [row[k] * row[k]]);
        let radius = scalars[scalar(p, sample, 1)];
        let radii = &feed[(p.samples as usize + sample) * cols..][..cols];
        let to = &mut points[slot * stride..][..cols.next_multiple_of(GRAIN)];
        to.fill(-0.0);
        for ((x, radius_here), to) in row.iter().zip(radii).zip(to) {
            let sign = if *x == 0.0 { 0.0 } else { x.signum() };
            let way = match p.norm {
                2 if squares > 0.0 => radius * x / squares.sqrt(),
                1 if x.abs() == largest => radius * sign / often,
                1 | 2 => 0.0,
                _ => sign * radius_here,
            };
            *to = -way;
        }
    }
}

/// Points through a layer's weights; `groups`: tiles across and rows of `tiles`.
pub fn forth(
    p: &Step,
    groups: [u32; 2],
    tiles: &[[u32; 2]],
    rows: &[u32],
    live: &[u32],
    w: &[f32],
    points: &[f32],
    out: &mut [f32],
) {
    let (samples, stride) = (p.samples as usize, 4 * p.stride as usize);
    let [down, across] = crate::layout::FORTH_TILE;
    for [sample, first] in &tiles[p.tile as usize..][..groups[1] as usize] {
        let sample = *sample as usize;
        let columns = list(p, live, sample, p.layer, p.first);
        let inner: Vec<u32> = match p.flags & WHOLE {
            0 => list(p, live, sample, p.layer - 1, p.below).to_vec(),
            _ => (0..p.cols).collect(),
        };
        let end = (first + down).min(rows[samples + sample]);
        for slot in (*first..end).map(|row| (rows[sample] + row) as usize) {
            let columns = columns.iter().take((groups[0] * across) as usize);
            for (c, column) in columns.enumerate() {
                let from = &points[slot * stride..];
                let terms = inner.iter().zip(from);
                out[slot * stride + c] = terms
                    .map(|(i, x)| x * w[(column * p.cols + i) as usize])
                    .fold(0.0, |sum, term| sum + term);
            }
        }
    }
}

/// One step of the lower slopes of rows, and their points through the lines.
pub fn ascend(
    p: &Step,
    ascend: &Ascend,
    places: &[[u32; 2]],
    live: &[u32],
    lines: &[f32],
    anchors: &[f32],
    search: &mut [f32],
    points: &mut [f32],
) {
    let neurons = p.neurons as usize;
    for (slot, [sample, place]) in places.iter().enumerate() {
        let sample = *sample as usize;
        let count = list(p, live, sample, p.layer, p.first).len();
        let own = &mut search[SEARCH * *place as usize * neurons + p.first as usize..];
        let row = &mut points[slot * 4 * p.stride as usize..][..count];
        for (k, point) in row.iter_mut().enumerate() {
            let line = Line { p, lines, anchors, sample, k };
            let (x, off, least) = (own[3 * neurons + k], *point, line.anchor(3));
            let (mut slope, mut gain) = line.fixed(x > 0.0);
            if least < 1.0 {
                let centre = line.anchor(0);
                let before = slope_within(own[k], least);
                let mut gradient = 0.0;
                if x > 0.0 {
                    (slope, gain) = (before, before * centre - line.anchor(1));
                    gradient = x * (centre + off);
                }
                let first = 0.9 * own[neurons + k] + 0.1 * gradient;
                let second = 0.999 * own[2 * neurons + k] + 0.001 * gradient * gradient;
                (own[neurons + k], own[2 * neurons + k]) = (first, second);
                let way = first / ascend.first / ((second / ascend.second).sqrt() + 1e-8);
                let moved = before + ascend.rate * (1.0 - least) * way;
                own[k] = slope_within(if moved.is_finite() { moved } else { before }, least);
            }
            *point = slope * off + gain;
        }
    }
}
