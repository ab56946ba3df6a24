//! The gradient that `ascend` takes a step by, against differences of bounds: both by the twins, one after
//! the other as the device runs the kernels.

use certus::blob::{WeightKind, pack};
use certus::gpu::shape::Shape;
use certus::network::{Affine, Network};
use certus_engine::bounds::{Method, Options};
use certus_engine::model::{Activation, Model};
use certus_engine::num::gamma;
use certus_shaders::layout::{ANCHORS, Ascend, LINES, SCALARS, SEARCH, Step, WHOLE};
use certus_shaders::tile::NARROW;
use certus_shaders::twin;
use fastrand::Rng;

/// A network, and one sample's lines by interval bounds.
struct Chain {
    shape: Shape,
    options: Options,
    weights: Vec<Vec<f32>>,
    inputs: Vec<f32>,
    feed: Vec<f32>,
    live: Vec<u32>,
    lines: Vec<f32>,
    anchors: Vec<f32>,
    scalars: Vec<f32>,
    norm: u32,
    /// What the outputs may come to.
    scale: f64,
}

/// A share of a slope's range.
const H: f32 = 1.0 / 16.0;

impl Chain {
    fn draw(rng: &mut Rng, widths: &[usize], leak: f32, norm: u32) -> Self {
        let mut draw = |n: usize| (0..n).map(|_| rng.f32() * 2.0 - 1.0).collect::<Vec<f32>>();
        let last = widths.len() - 2;
        let layers: Vec<Affine> = widths
            .windows(2)
            .enumerate()
            .map(|(k, widths)| Affine {
                rows: widths[1],
                cols: widths[0],
                weights: draw(widths[0] * widths[1]),
                bias: draw(widths[1]),
                activation: match leak {
                    _ if k == last => Activation::Identity,
                    0.0 => Activation::Relu,
                    leak => Activation::LeakyRelu(leak),
                },
                through: 0,
                weight_error: 0.0,
                bias_error: 0.0,
            })
            .collect();
        let n = widths[0];
        let middles = draw(n);
        let weights = layers.iter().map(|layer| layer.weights.clone()).collect();
        let biases: Vec<Vec<f32>> = layers.iter().map(|layer| layer.bias.clone()).collect();
        let words = pack(&Network { inputs: n, layers }, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("packed here");
        let shape = Shape::new(&model);
        let options = Options::new(Method::CrownIbp);
        let radius = 0.5f32;
        let inputs = [middles.clone(), vec![radius; n]].concat();
        let total = middles.iter().map(|m| m.abs() + radius).sum::<f32>() * 1.001;
        let layers = shape.layers.len();
        let mut scalars = vec![0.0; SCALARS + layers];
        (scalars[0], scalars[1]) = (total, radius);
        let (mut known, mut ends) = (vec![0.0; 4 * shape.width], vec![0.0; 2 * shape.width]);
        let mut live = vec![0; 2 * layers + shape.neurons];
        let mut lines = vec![0.0; LINES * shape.neurons];
        let mut anchors = vec![0.0; ANCHORS * shape.neurons];
        let mut feed = inputs.clone();
        let mut chain = Self {
            options,
            weights,
            inputs,
            feed: Vec::new(),
            live: Vec::new(),
            lines: Vec::new(),
            anchors: Vec::new(),
            scalars: Vec::new(),
            norm,
            scale: 0.0,
            shape,
        };
        for (k, bias) in biases.iter().enumerate() {
            let bias = [&bias[..], &vec![f32::INFINITY; bias.len()], &[0.0]].concat();
            let (shape, w) = (&chain.shape, &chain.weights[k]);
            let p = shape.interval(&options, 1, k, true);
            twin::interval_few(&p, w, &bias, &feed, &scalars, &mut known, &mut ends);
            feed = vec![0.0; 2 * p.rows as usize];
            let p = shape.lines(&options, 1, k);
            twin::lines(&p, &known, &ends, &mut scalars, &mut live, &mut lines, &mut feed);
            let p = shape.plain(&options, 1, k);
            twin::anchors(&p, &known, &ends, &feed, &live, &lines, &mut anchors);
            chain.scale = 2.0 * known.iter().fold(0.0f64, |most, x| most.max(f64::from(x.abs())));
        }
        Self { feed, live, lines, anchors, scalars, ..chain }
    }

    fn rows(&self) -> usize {
        self.shape.layers[self.shape.last()].rows
    }

    fn places(&self) -> Vec<[u32; 2]> {
        (0..self.rows() as u32).map(|row| [0, row]).collect()
    }

    /// The table of all rows.
    fn table(&self) -> Vec<u32> {
        let count = self.rows() as u32;
        [vec![0, count], (0..count).collect(), vec![0]].concat()
    }

    /// Bounds of the margins of class 0 by slopes, and the rows' coefficients on the inputs.
    fn walk(&self, search: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
        let (shape, places, table) = (&self.shape, self.places(), self.table());
        let mut floors = vec![0.0; places.len()];
        let mut a = vec![0.0; places.len() * 4 * shape.stride];
        let last = shape.last();
        let p = shape.rows(&self.options, 1, last);
        twin::margins(&p, &places, &[0], &self.feed, &self.live, &mut floors, &mut a);
        for j in (0..=last).rev() {
            let p = shape.rows(&self.options, 1, j);
            let (live, lines, anchors) = (&self.live, &self.lines, &self.anchors);
            twin::relax_own(
                &p,
                &places,
                live,
                lines,
                anchors,
                &self.scalars,
                search,
                &mut floors,
                &mut a,
            );
            let flags = if j == 0 { WHOLE } else { 0 };
            let p = Step { flags, ..shape.plain(&self.options, 1, j) };
            let mut out = vec![0.0; a.len()];
            let groups = [shape.width.div_ceil(NARROW.cols as usize) as u32 + 1, 1];
            let w = &self.weights[j];
            twin::product(&NARROW, &p, groups, &[[0, 0]], &table, live, w, &a, &mut out);
            a = out;
        }
        let p = Step { norm: self.norm, ..shape.reach(&self.options, 1, 0) };
        let (mut ends, mut found) = (Vec::new(), vec![0.0; places.len()]);
        let scalars = &self.scalars;
        twin::reach(&p, &places, &table, &self.inputs, scalars, &floors, &a, &mut ends, &mut found);
        (found, a)
    }

    /// Derivatives of the bounds with respect to the slopes, where slopes are.
    fn gradient(&self, search: &mut [f32]) {
        let (shape, places, table) = (&self.shape, self.places(), self.table());
        let (_, a) = self.walk(search);
        let p = Step { norm: self.norm, ..shape.reach(&self.options, 1, 0) };
        let mut points = vec![0.0; a.len()];
        twin::least(&p, &places, &self.inputs, &self.scalars, &a, &mut points);
        for j in 0..shape.last() {
            let p = shape.plain(&self.options, 1, j);
            let flags = if j == 0 { WHOLE } else { 0 };
            let mut next = vec![0.0; a.len()];
            let groups = [shape.width.div_ceil(64) as u32 + 1, 1];
            let (live, w) = (&self.live, &self.weights[j]);
            let forth = Step { flags, ..p };
            twin::forth(&forth, groups, &[[0, 0]], &table, live, w, &points, &mut next);
            // Nothing moves; the first moments are a tenth of the gradient.
            let ascend = Ascend { rate: 0.0, first: 1.0, second: 1.0, none: 0.0 };
            let (lines, anchors) = (&self.lines, &self.anchors);
            twin::ascend(&p, &ascend, &places, live, lines, anchors, search, &mut next);
            points = next;
        }
    }
}

#[test]
fn gradients_are_the_bounds_differences() {
    let mut rng = Rng::with_seed(50);
    let (mut compared, mut bent, mut large) = (0, 0, 0);
    for turn in 0..24 {
        let widths = [&[4, 6, 3][..], &[3, 7, 6, 3], &[5, 8, 7, 6, 4]][turn % 3];
        let leak = if turn % 2 == 0 { 0.0 } else { 0.1 };
        let chain = Chain::draw(&mut rng, widths, leak, turn as u32 / 3 % 3);
        let n = chain.shape.neurons;
        let mut search = vec![0.0; chain.rows() * SEARCH * n];
        for slopes in search.chunks_exact_mut(SEARCH * n) {
            slopes[..n].iter_mut().for_each(|slope| *slope = 0.2 + 0.6 * rng.f32());
        }
        let mut at = search.clone();
        chain.gradient(&mut at);
        let (middle, _) = chain.walk(&mut search.clone());
        // Each of two bounds is off by no more than all roundings of its terms on a device.
        let noise = 2.0 * f64::from(gamma(400)) * chain.scale / f64::from(H);
        for (row, here) in middle.iter().map(|x| f64::from(*x)).enumerate() {
            for k in (0..chain.shape.last()).flat_map(|j| {
                let layer = &chain.shape.layers[j];
                layer.first..layer.first + chain.live[j] as usize
            }) {
                let slope = SEARCH * row * n + k;
                if chain.anchors[3 * n + k] >= 1.0 {
                    continue;
                }
                let moved = |by: f32| {
                    let mut search = search.clone();
                    search[slope] += by;
                    f64::from(chain.walk(&mut search).0[row])
                };
                let [below, above] = [here - moved(-H), moved(H) - here].map(|d| d / f64::from(H));
                // A coefficient has changed its sign within the step.
                if (below - above).abs() > 2.0 * noise {
                    bent += 1;
                    continue;
                }
                let gradient = 10.0 * f64::from(at[slope + n]);
                let off = (gradient - 0.5 * (below + above)).abs();
                assert!(
                    off <= 2.0 * noise,
                    "turn {turn}, row {row}: {gradient} for {below}, {above}"
                );
                compared += 1;
                large += usize::from(gradient.abs() > 8.0 * noise);
            }
        }
    }
    println!("{compared} compared, {large} of them well above rounding, {bent} bent");
    assert!(large > 100, "{large}");
}
