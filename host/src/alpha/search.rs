//! Projected Adam on the slopes, row by row or for all rows at once.

use certus_engine::model::Model;
use ndarray::{Array2, ArrayView2};

use super::lines::{Lines, Step};
use super::{Around, Settings, walk};
use crate::slopes::live::{Live, gather};
use crate::slopes::{Open, Search, Slopes};

/// By how much of its size a bound found in floats must be above its goal to count as there.
const SURE: f32 = 1e-4;

impl Search for Settings {
    fn search(&mut self, open: &Open<'_>) -> impl Slopes {
        let mut climb = Climb::new(&open.model, open.around, open.ends, open.matrix, *self);
        climb.run(open.goal);
        climb
    }
}

/// A search for the slopes of some rows.
#[derive(Debug)]
struct Climb<'a> {
    around: &'a Around<'a>,
    settings: Settings,
    layers: Vec<Live>,
    /// Lines of all layers but the last, which has no activation here.
    lines: Vec<Lines>,
    /// The best slopes found, lower and upper, `[layers][sets][live neurons]`.
    best: Vec<[Vec<f32>; 2]>,
    /// The bound that they gave, by row; of sets, the least of their rows'.
    values: Vec<f32>,
    matrix: Array2<f32>,
    macs: u64,
}

impl<'a> Climb<'a> {
    /// For the rows of `matrix` over the outputs of `model`, whose neurons have the ends given.
    fn new(
        model: &Model<'_>,
        around: &'a Around<'a>,
        ends: (&[f32], &[f32]),
        matrix: &[f32],
        settings: Settings,
    ) -> Self {
        let layers = gather(model, ends);
        let rows = matrix.len() / model.outputs().max(1);
        let sets = if settings.shared { 1 } else { rows };
        let inner = layers.len().saturating_sub(1);
        let lines: Vec<Lines> = layers[..inner].iter().map(|l| Lines::new(l, sets)).collect();
        let best = lines.iter().map(|l| [l.lower.slope.clone(), l.upper.slope.clone()]).collect();
        let matrix = ArrayView2::from_shape((rows, model.outputs()), matrix);
        let matrix = matrix.expect("rows x outputs").to_owned();
        let values = vec![f32::NEG_INFINITY; sets];
        Self { around, settings, layers, lines, best, values, matrix, macs: 0 }
    }

    /// Sets of slopes: one for each row, or one.
    fn sets(&self) -> usize {
        self.values.len()
    }

    fn set(&self, row: usize) -> usize {
        if self.settings.shared { 0 } else { row }
    }

    /// Searches until every row is above `goal` or the iterations are spent.
    fn run(&mut self, goal: f32) {
        for iteration in 0..=self.settings.iterations {
            let (coefficients, values, points) = self.backward();
            self.keep(&values);
            let sure = |v: &f32| *v > goal + SURE * (1.0 + goal.abs());
            if self.values.iter().all(sure) || iteration == self.settings.iterations {
                break;
            }
            self.climb(&coefficients, points, iteration);
        }
    }

    /// The rows' coefficients on the activations of each layer but the last, their bounds, and the
    /// inputs where they are least.
    fn backward(&mut self) -> (Vec<Array2<f32>>, Vec<f32>, Array2<f32>) {
        let count = self.matrix.nrows();
        let mut constants = vec![0.0; count];
        let mut coefficients = Vec::with_capacity(self.lines.len());
        let mut rows = self.matrix.clone();
        for (k, layer) in self.layers.iter().enumerate().rev() {
            if let Some(lines) = self.lines.get(k) {
                coefficients.push(rows.clone());
                for (r, mut row) in rows.rows_mut().into_iter().enumerate() {
                    let set = self.set(r);
                    let row = row.as_slice_mut().expect("a row of its own");
                    constants[r] += walk::relax(row, lines, set);
                }
            }
            let next = walk::back(&rows, layer, &mut constants);
            self.macs += (count * layer.weights.len()) as u64;
            rows = next;
        }
        coefficients.reverse();
        let mut points = Array2::zeros(rows.raw_dim());
        walk::all_least(self.around, &rows, &mut points);
        for (r, row) in rows.rows().into_iter().enumerate() {
            constants[r] += row.dot(&points.row(r));
        }
        (coefficients, constants, points)
    }

    /// Keeps the slopes of the sets that are better than before.
    fn keep(&mut self, values: &[f32]) {
        let sets = self.sets();
        for set in 0..sets {
            let value = if self.settings.shared {
                values.iter().fold(f32::INFINITY, |m, v| if *v < m { *v } else { m })
            } else {
                values[set]
            };
            if !(value > self.values[set]) {
                continue;
            }
            self.values[set] = value;
            for (best, lines) in self.best.iter_mut().zip(&self.lines) {
                let width = lines.lower.slope.len() / sets.max(1);
                let range = set * width..(set + 1) * width;
                best[0][range.clone()].copy_from_slice(&lines.lower.slope[range.clone()]);
                best[1][range.clone()].copy_from_slice(&lines.upper.slope[range]);
            }
        }
    }

    /// One step of all slopes.
    fn climb(&mut self, coefficients: &[Array2<f32>], points: Array2<f32>, iteration: usize) {
        let sets = self.sets();
        let turn = iteration as i32 + 1;
        let Settings { rate, curved, decay, .. } = self.settings;
        let step = Step::new([rate, curved].map(|rate| rate * decay.powi(turn - 1)), turn);
        let mut points = points;
        for (k, lines) in self.lines.iter_mut().enumerate() {
            let layer = &self.layers[k];
            let mut z = walk::forth(&points, layer);
            self.macs += (points.nrows() * layer.weights.len()) as u64;
            let before = z.clone();
            let a = |r: usize| coefficients[k].row(r).to_slice().expect("a row of its own");
            let at = |r: usize| before.row(r).to_slice().expect("a row of its own");
            // What the lines were when the coefficients were found carries the points on.
            for (r, mut z) in z.rows_mut().into_iter().enumerate() {
                let set = if self.settings.shared { 0 } else { r };
                walk::apply(z.as_slice_mut().expect("a row of its own"), a(r), lines, set);
            }
            for set in 0..sets {
                let some = if self.settings.shared { 0..before.nrows() } else { set..set + 1 };
                lines.climb(set, some.map(|r| (a(r), at(r))), &step);
            }
            lines.settle(layer, sets);
            points = z;
        }
    }
}

impl Slopes for Climb<'_> {
    fn shared(&self) -> bool {
        self.settings.shared
    }

    /// The best ones; 0 for neurons that are not live.
    fn of(&self, row: usize) -> (Vec<f32>, Vec<f32>) {
        let set = self.set(row);
        let neurons = self.layers.iter().map(|layer| layer.rows).sum();
        let (mut lower, mut upper) = (vec![0.0; neurons], vec![0.0; neurons]);
        let mut from = 0;
        for (layer, lines) in self.layers.iter().zip(&self.best) {
            let width = layer.index.len();
            for (slot, i) in layer.index.iter().enumerate() {
                lower[from + i] = lines[0][set * width + slot];
                upper[from + i] = lines[1][set * width + slot];
            }
            from += layer.rows;
        }
        (lower, upper)
    }

    fn macs(&self) -> u64 {
        self.macs
    }
}
