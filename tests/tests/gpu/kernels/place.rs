//! `place`: lines that the host has chosen, word for word where the twin puts them.

use certus::gpu::{Device, curved};
use certus_shaders::kernel::{Kernel, PLACE};
use certus_shaders::layout::{GIVEN, LINES, Step};
use certus_shaders::twin;
use fastrand::Rng;

use super::{Outcome, bytes, listed, run, same};

/// What was in a word before.
const LEFT: u32 = 0xdead_beef;

/// Neurons of the layers before.
const FIRST: usize = 19;

pub(super) struct Case {
    p: Step,
    given: Vec<u32>,
}

impl Case {
    /// A sample with all neurons, then some, then none; their lines are words of any kind.
    pub(super) fn draw(rng: &mut Rng, [samples, rows]: [usize; 2]) -> Self {
        let p = Step {
            samples: samples as u32,
            neurons: (FIRST + listed(rows) + 3) as u32,
            layers: 3,
            layer: 1,
            first: FIRST as u32,
            rows: rows as u32,
            ..Step::default()
        };
        let mut given: Vec<u32> = (0..samples * curved::given(rows)).map(|_| rng.u32(..)).collect();
        for (sample, given) in given.chunks_exact_mut(curved::given(rows)).enumerate() {
            let count = [listed(rows), 16 * rng.usize(0..=listed(rows) / 16), 0][sample % 3];
            given[0] = count as u32;
            given[1] = 16 * rng.u32(0..=count as u32 / 16);
        }
        Self { p, given }
    }

    fn room(&self) -> [Vec<u32>; 2] {
        let (samples, neurons) = (self.p.samples as usize, self.p.neurons as usize);
        [samples * (2 * 3 + neurons), LINES * samples * neurons].map(|words| vec![LEFT; words])
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Vec<Vec<u32>> {
        let [live, lines] = self.room();
        let written = [bytes(&live), bytes(&lines)];
        run(device, kernel, &self.p, &[bytes(&self.given)], &written, [self.p.samples, 1, 1])
    }

    pub(super) fn check(&self, found: &[Vec<u32>]) -> Outcome {
        let [mut live, mut lines] = self.room();
        twin::place(&self.p, &self.given, &mut live, &mut lines);
        same("live", &found[0], &live)?;
        same("line", &found[1], &lines)?;
        // What is where, twin or no twin: the last entry of the first sample's last array.
        let (rows, neurons) = (self.p.rows as usize, self.p.neurons as usize);
        let (count, room) = (self.given[0] as usize, listed(rows));
        let last = lines[(LINES - 1) * neurons + FIRST + count - 1];
        same("last", &[last], &[self.given[GIVEN + LINES * room + count - 1]])
    }
}

#[test]
fn place_is_its_twin() {
    let Some(device) = crate::device("place_is_its_twin") else { return };
    let mut rng = Rng::with_seed(30);
    for shape in [[1, 1], [3, 3], [4, 31], [3, 33], [5, 240], [3, 1000], [2, 1025]] {
        let case = Case::draw(&mut rng, shape);
        case.check(&case.run(&device, &PLACE)).unwrap_or_else(|why| panic!("{shape:?}: {why}"));
    }
}
