//! `fixed` and `centres`: middles, and centres of neurons, in whole numbers.

use certus::gpu::Device;
use certus::gpu::net::whole;
use certus_engine::num::{add_up, gamma, underflow};
use certus_shaders::kernel::{CENTRES, FIXED, Kernel};
use certus_shaders::layout::{DEPLOYED, SCALARS, Step};
use certus_shaders::twin;
use certus_tests::rational::{abs, dot, exact};
use fastrand::Rng;

use super::{
    Draw, LEFT, Outcome, at_least, at_most, bytes, disturbance, floats, near, normal, run, same,
    steps,
};

/// Its digits are 511, 511 and 480.
pub(super) const LARGE_DIGITS: f32 = ((511 << 20) + (511 << 10) + 480) as f32 / (1 << 28) as f32;

/// What the kernels read, and what is there before they write.
pub(super) struct Case {
    p: Step,
    w: Vec<f32>,
    digits: Vec<i32>,
    units: Vec<u32>,
    feed: Vec<f32>,
    bias: Vec<f32>,
    scalars: Vec<f32>,
    before: Found,
}

/// What `centres` writes.
#[derive(Clone)]
pub(super) struct Found {
    known: Vec<f32>,
    ends: Vec<f32>,
}

impl Case {
    /// For `draw`, or all weights and middles one number.
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, rows, cols]: [usize; 3],
        flags: u32,
        (draw, one): (Draw, Option<f32>),
    ) -> Self {
        let p = Step {
            samples: samples as u32,
            layers: 3,
            width: rows as u32 + 2,
            rows: rows as u32,
            cols: cols as u32,
            flags,
            // With one budget of rounding, and with three.
            gamma: if rng.bool() { 1.0 } else { 3.0 },
            weight_error: if rng.bool() { 1e-4 } else { 0.0 },
            bias_error: 1e-6,
            relative: gamma(cols as u32 + 2),
            absolute: underflow(cols),
            ..Step::default()
        };
        let many = |rng: &mut Rng, n: usize| match one {
            Some(x) => (0..n).map(|i| if i % 7 == 3 { -x } else { x }).collect(),
            None => draw.many(rng, n),
        };
        let w: Vec<f32> = many(rng, rows * cols);
        let feed: Vec<f32> = many(rng, 2 * samples * cols).into_iter().map(normal).collect();
        let (digits, units) = whole(&w, cols);
        let mut bias: Vec<f32> = (0..rows).map(|_| normal(draw.one(rng))).collect();
        bias.resize(2 * rows + 1, 0.0);
        let mut scalars = Vec::new();
        for middles in feed.chunks(cols).take(samples) {
            let total = middles.iter().fold(0.0, |sum, x| add_up(sum, x.abs()));
            scalars.extend([total, LEFT, LEFT, LEFT, LEFT, LEFT, LEFT]);
        }
        let width = p.width as usize;
        let known = (0..4 * samples * width).map(|i| match i / width % 4 {
            0 | 1 => normal(draw.one(rng).abs()),
            2 => LEFT,
            // Better than can be found, and worse.
            _ => [0.0, 2f32.powi(126)][usize::from(rng.u8(0..4) > 0)],
        });
        let before = Found { known: known.collect(), ends: vec![LEFT; 2 * samples * width] };
        Self { p, w, digits, units, feed, bias, scalars, before }
    }

    fn fixed_by_twin(&self) -> Vec<i32> {
        let mut fixed = vec![i32::MIN; (self.p.samples * (1 + self.p.cols)) as usize];
        twin::fixed(&self.p, &self.feed, &mut fixed);
        fixed
    }

    pub(super) fn run_fixed(&self, device: &Device, kernel: &Kernel) -> Vec<i32> {
        let room = vec![i32::MIN; (self.p.samples * (1 + self.p.cols)) as usize];
        let groups = [self.p.samples, 1, 1];
        let found = run(device, kernel, &self.p, &[bytes(&self.feed)], &[bytes(&room)], groups);
        bytemuck::cast_slice(&found[0]).to_vec()
    }

    /// Each a multiple of the unit, the middle less than one of it away.
    pub(super) fn check_fixed(&self, found: &[i32]) -> Outcome {
        let (samples, cols) = (self.p.samples as usize, self.p.cols as usize);
        for (i, x) in found[samples..].iter().enumerate() {
            let unit = exact(2f64.powi(found[i / cols]));
            let off = abs(&(exact(*x as f64) * &unit - exact(self.feed[i])));
            if off >= unit || x.unsigned_abs() > 1 << 29 {
                return Err(format!("{i}: {x} for {}", self.feed[i]));
            }
        }
        same("fixed", found, &self.fixed_by_twin())
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, digits, units, bias, scalars, before, .. } = self;
        let fixed = self.fixed_by_twin();
        let read = [bytes(digits), bytes(units), bytes(&fixed), bytes(bias), bytes(scalars)];
        let written = [bytes(&before.known), bytes(&before.ends)];
        let groups = [p.rows.div_ceil(32), p.samples.div_ceil(32), 1];
        let found = run(device, kernel, p, &read, &written, groups);
        Found { known: floats(&found[0]), ends: floats(&found[1]) }
    }

    /// The comparison with the twin; each centre as near as it claims, and ends made of that.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, w, digits, units, feed, bias, scalars, before } = self;
        let mut twin = before.clone();
        let fixed = self.fixed_by_twin();
        twin::centres(p, digits, units, &fixed, bias, scalars, &mut twin.known, &mut twin.ends);
        let (rows, cols, width) = (p.rows as usize, p.cols as usize, p.width as usize);
        let mut known = vec![0.0; found.known.len()];
        let mut ends = vec![0.0; found.ends.len()];
        for sample in 0..p.samples as usize {
            let middles = &feed[sample * cols..][..cols];
            for i in 0..rows {
                let at = 4 * sample * width + i;
                let [mass, reach, centre, error] =
                    [0, 1, 2, 3].map(|k| found.known[at + k * width]);
                if error == before.known[at + 3 * width] {
                    continue;
                }
                let truth = dot(&w[i * cols..][..cols], middles) + exact(bias[i]);
                let off = abs(&(exact(centre) - &truth));
                at_least(&format!("error {i} of {sample}"), error, &off)?;
                // As near as is claimed for: of each unit not a few, and one rounding.
                let most =
                    |x: &[f32]| x.iter().fold(2f64.powi(-62), |most, x| most.max(x.abs().into()));
                let (most_w, most_x) = (most(&w[i * cols..][..cols]), most(middles));
                let sum = |x: &[f32]| x.iter().map(|x| f64::from(x.abs())).sum::<f64>();
                let units = most_x * sum(&w[i * cols..][..cols])
                    + most_w * f64::from(scalars[sample * (SCALARS + 3)])
                    + most_w * most_x * (64.0 + cols as f64 / 256.0);
                let budget = 2f64.powi(-28) * units
                    + 1.5 * 2f64.powi(-21) * (f64::from(centre).abs() + f64::from(bias[i]).abs())
                    + 2f64.powi(-110);
                let budget = f64::from(p.gamma) * budget;
                at_most(&format!("error {i} of {sample}"), error, &exact(budget))?;
                let end = 2 * sample * width + i;
                let away = exact(reach) + exact(error) + disturbance(p, &exact(mass));
                at_most("lower", found.ends[end], &(exact(centre) - &away))?;
                at_least("upper", found.ends[end + width], &(exact(centre) + &away))?;
                let error = f64::from(error);
                // What roundings may bring apart is a part of what is claimed.
                known[at + 2 * width] = 2.0 * error;
                // The product of the units may be tiny.
                let tiny = 262_146.0 * cols as f64 * steps(2, 0.0);
                known[at + 3 * width] = steps(16, error) + steps(2, 2.0 * error) + tiny;
                let size = f64::from(centre).abs() + f64::from(reach) + error + f64::from(mass);
                (ends[end], ends[end + width]) =
                    (2.5 * error + steps(9, size), 2.5 * error + steps(9, size));
            }
        }
        near("known", &found.known, &twin.known, |i| known[i])?;
        near("end", &found.ends, &twin.ends, |i| ends[i])
    }
}

/// The last four before, at and after where sums are carried, and at the end.
const SHAPES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [3, 33, 3],
    [33, 3, 31],
    [34, 31, 33],
    [2, 5, 1000],
    [3, 33, 1025],
    [1, 3, 2047],
    [1, 3, 2048],
    [1, 3, 2049],
    [1, 3, 4096],
];

#[test]
fn whole_numbers_are_their_twins_and_near() {
    let Some(device) = crate::device("whole_numbers_are_their_twins_and_near") else { return };
    let mut rng = Rng::with_seed(37);
    for shape in SHAPES {
        for draw in Draw::ALL {
            let case = Case::draw(&mut rng, shape, 0, (draw, None));
            case.check_fixed(&case.run_fixed(&device, &FIXED))
                .unwrap_or_else(|why| panic!("{shape:?} {draw:?}: {why}"));
        }
    }
}

#[test]
fn centres_are_their_twins_and_near() {
    let Some(device) = crate::device("centres_are_their_twins_and_near") else { return };
    let mut rng = Rng::with_seed(38);
    for shape in SHAPES {
        let mut draws: Vec<_> = Draw::ALL.map(|draw| (draw, None)).into();
        // The largest digits, of one sign and of both, and sums of them.
        let ones = [LARGE_DIGITS, 2f32.next_down(), 1.0, 0.0, 2f32.powi(-70)];
        draws.extend(ones.map(|one| (Draw::Even, Some(one))));
        for draw in draws {
            for flags in [0, DEPLOYED] {
                let case = Case::draw(&mut rng, shape, flags, draw);
                case.check(&case.run(&device, &CENTRES))
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {flags}: {why}"));
            }
        }
    }
}

#[test]
fn what_is_no_number_has_no_better_centre() {
    let Some(device) = crate::device("what_is_no_number_has_no_better_centre") else { return };
    let mut rng = Rng::with_seed(39);
    for wrong in [f32::NAN, f32::INFINITY, 2f32.powi(120)] {
        let mut case = Case::draw(&mut rng, [2, 3, 70], 0, (Draw::Even, None));
        case.feed[67] = wrong;
        let fixed = case.run_fixed(&device, &FIXED);
        assert!(fixed[0] == 1000 || wrong.is_finite());
        let found = case.run(&device, &CENTRES);
        let width = case.p.width as usize;
        assert_eq!(found.known[..4 * width], case.before.known[..4 * width], "{wrong}");
    }
}
