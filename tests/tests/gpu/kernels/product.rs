//! `product` in all its tiles.

use certus::gpu::Device;
use certus_engine::num::sums::drop_negligible;
use certus_engine::num::{NEGLIGIBLE, gamma, underflow};
use certus_shaders::kernel::Kernel;
use certus_shaders::layout::{JOINED, PAIRED, Step, WHOLE};
use certus_shaders::tile::{self, Tile, product_depth};
use certus_shaders::{ETA, twin};
use fastrand::Rng;

use super::{Draw, LEFT, Live, Outcome, bytes, floats, listed, near, run, sums_apart};

/// What the kernel reads.
pub(super) struct Case {
    p: Step,
    tile: Tile,
    /// Flags of each dispatch, and its tiles.
    passes: Vec<(u32, Vec<[u32; 2]>)>,
    rows: Vec<u32>,
    live: Live,
    w: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    /// `counts`: rows of each sample; `paired`: the first step of pairs, the shared neurons once for both.
    pub(super) fn draw(
        rng: &mut Rng,
        tile: Tile,
        counts: &[u32],
        [inner, cols]: [usize; 2],
        (whole, paired): (bool, bool),
        draw: Draw,
    ) -> Self {
        let samples = counts.len();
        let counts: Vec<u32> =
            counts.iter().map(|count| count + u32::from(paired) * (count % 2)).collect();
        let live = Live::draw(rng, samples, inner, cols, samples == 1);
        let mut p = Step {
            samples: samples as u32,
            rows: inner as u32,
            cols: cols as u32,
            stride: listed(inner.max(cols)) as u32 / 4,
            flags: if whole { WHOLE } else { 0 },
            // The first tile is another dispatch's.
            tile: 1,
            ..Step::default()
        };
        live.set(&mut p);
        let passes = if paired { &[PAIRED, JOINED][..] } else { &[0] };
        let tiles = |every: u32| {
            let mut tiles = vec![[0, 0]];
            for (sample, count) in counts.iter().enumerate() {
                // The last lies past the sample's rows.
                let of_sample = 0..=(count / every).div_ceil(tile.rows);
                tiles.extend(of_sample.map(|i| [sample as u32, i * tile.rows]));
            }
            tiles
        };
        let passes = passes.iter().map(|flags| (*flags, tiles(1 + flags / PAIRED % 2))).collect();
        let (mut firsts, mut sources, mut slots) = (Vec::new(), Vec::new(), 0);
        for count in &counts {
            firsts.push(slots);
            // Rows that have moved, and slots that have none.
            let mut of_slots: Vec<u32> = (slots..slots + count + 2).collect();
            if !paired {
                rng.shuffle(&mut of_slots);
            }
            sources.extend(of_slots);
            slots += count + 2;
        }
        let rows = [&firsts[..], &counts, &sources, &[0]].concat();
        let stride = 4 * p.stride as usize;
        let (left, right) = ([slots as usize, stride], [inner, cols]);
        let (mut a, w) = match draw {
            // Of the weights: a coefficient that is negligible is none.
            Draw::Tiny => (draw.many(rng, left[0] * left[1]), draw.rows(rng, right, 1)),
            _ => (draw.rows(rng, left, 1), draw.many(rng, inner * cols)),
        };
        for (sample, first) in firsts.iter().enumerate() {
            let (fill, shared) = (&live.fill[sample], live.shared(&p, sample));
            for slot in *first as usize..(first + counts[sample] + 2) as usize {
                let (before, row) = a.split_at_mut(slot * stride);
                for (k, a) in row[..stride].iter_mut().enumerate() {
                    *a = match fill.get(k) {
                        // What lies past a row's end counts for nothing, whatever it is.
                        None => f32::NAN,
                        Some(true) => 0.0,
                        Some(false) if paired && slot % 2 == 1 && k < shared => {
                            -before[(slot - 1) * stride + k]
                        }
                        // As relaxed rows have it.
                        Some(false) => drop_negligible(*a),
                    };
                }
            }
        }
        Self { p, tile, passes, rows, live, w, a }
    }

    fn groups(&self, tiles: &[[u32; 2]]) -> [u32; 2] {
        [
            listed(self.p.cols as usize).div_ceil(self.tile.cols as usize) as u32,
            tiles.len() as u32 - 1,
        ]
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Vec<f32> {
        let mut out = vec![LEFT; self.a.len()];
        for (flags, tiles) in &self.passes {
            let p = Step { flags: self.p.flags | flags, ..self.p };
            let read = [
                bytes(tiles),
                bytes(&self.rows),
                bytes(&self.live.words),
                bytes(&self.w),
                bytes(&self.a),
            ];
            let [across, down] = self.groups(tiles);
            out = floats(&run(device, kernel, &p, &read, &[bytes(&out)], [across, down, 1])[0]);
        }
        out
    }

    fn twin(&self) -> Vec<f32> {
        let mut out = vec![LEFT; self.a.len()];
        let Self { tile, rows, live, w, a, .. } = self;
        for (flags, tiles) in &self.passes {
            let p = Step { flags: self.p.flags | flags, ..self.p };
            twin::product(tile, &p, self.groups(tiles), tiles, rows, &live.words, w, a, &mut out);
        }
        out
    }

    /// The comparison with the twin and with sums in f64.
    pub(super) fn check(&self, found: &[f32]) -> Outcome {
        let p = &self.p;
        let (samples, cols) = (p.samples as usize, p.cols as usize);
        let stride = 4 * p.stride as usize;
        let mut allowed = vec![0.0; found.len()];
        for sample in 0..samples {
            let inner = self.live.list(p, sample, 1);
            let columns: Vec<u32> = match p.flags & WHOLE {
                0 => self.live.list(p, sample, 0).to_vec(),
                _ => (0..p.cols).collect(),
            };
            let depth = product_depth(inner.len());
            for row in 0..self.rows[samples + sample] {
                let slot = (self.rows[sample] + row) as usize;
                let a = &self.a[self.rows[2 * samples + slot] as usize * stride..][..inner.len()];
                let most: f64 = a.iter().map(|a| f64::from(a.abs())).sum();
                for (c, column) in columns.iter().enumerate() {
                    let column = *column as usize;
                    let weights = inner.iter().map(|i| self.w[*i as usize * cols + column]);
                    let products = a.iter().zip(weights).map(|(a, w)| f64::from(*a) * f64::from(w));
                    let (sum, size) =
                        products.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + f64::abs(x)));
                    // Subnormal weights may be dropped; results that underflow, in both.
                    let under = f64::from(underflow(inner.len()));
                    allowed[slot * stride + c] =
                        sums_apart(depth) * size + 2.0 * (ETA * most + under);
                    // The budget; the sum in f64 is off by `2^-53` for each term.
                    let rate = f64::from(gamma(2 * depth)) + 2f64.powi(-53) * inner.len() as f64;
                    let budget = rate * size + f64::from(NEGLIGIBLE) * most + under;
                    let there = f64::from(found[slot * stride + c]);
                    if !((there - sum).abs() <= budget) {
                        return Err(format!(
                            "row {row} of sample {sample}, column {c}: {there:e} for {sum:e}, \
                             {budget:e} claimed"
                        ));
                    }
                }
            }
        }
        near("product", found, &self.twin(), |i| allowed[i])
    }
}

#[test]
fn products_are_their_twin_within_their_budget() {
    let test = "products_are_their_twin_within_their_budget";
    let Some(device) = crate::device(test) else { return };
    let mut rng = Rng::with_seed(12);
    // Rows of each sample; inner entries and columns.
    let shapes: [(&[u32], [usize; 2]); 7] = [
        (&[1], [1, 1]),
        (&[3, 33, 1], [31, 3]),
        (&[31, 1, 0, 7], [33, 31]),
        (&[5, 17, 2], [3, 33]),
        (&[129], [127, 129]),
        (&[3, 66], [1000, 33]),
        (&[2], [1025, 65]),
    ];
    for tile in tile::ALL {
        let kernel = tile.kernel();
        for (i, (counts, shape)) in shapes.into_iter().enumerate() {
            for (j, draw) in Draw::ALL.into_iter().enumerate() {
                // Whole or gathered columns, a pair's two steps or one.
                let ways = ((i + j).is_multiple_of(2), (i + j) % 4 > 1);
                let case = Case::draw(&mut rng, tile, counts, shape, ways, draw);
                let found = case.run(&device, &kernel);
                case.check(&found).unwrap_or_else(|why| {
                    panic!("{} {counts:?} {shape:?} {draw:?} {ways:?}: {why}", tile.name)
                });
            }
        }
    }
}
