//! Bounds of ReLU networks as the papers write them: dense, in f64, nothing saved, nothing rounded
//! outward. A reference for what bounds should come out, not a proof of anything. Searches go
//! through smooth activations too.

mod search;

use certus::network::Network;
use certus_engine::bounds::Method;
use certus_engine::model::Activation;
use certus_engine::region::Norm;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip, concatenate};

/// Pre-activation ends of a layer.
pub type Ends = (Array1<f64>, Array1<f64>);

/// A network in f64.
pub struct Dense {
    layers: Vec<DenseLayer>,
}

/// `W`, `b` and what follows: a ReLU, another activation, or nothing.
struct DenseLayer {
    weights: Array2<f64>,
    bias: Array1<f64>,
    relu: bool,
    smooth: Option<Smooth>,
}

/// An activation through which a search goes, but no bounds do.
#[derive(Clone, Copy)]
struct Smooth {
    value: fn(f64) -> f64,
    slope: fn(f64) -> f64,
}

impl Smooth {
    const TANH: Self = Self { value: f64::tanh, slope: |z| 1.0 - z.tanh().powi(2) };
}

/// A ball of inputs, for the maximum norm optionally cut by a box that is the same in every
/// coordinate.
#[derive(Clone, Debug)]
pub struct Ball {
    /// The centre.
    pub center: Array1<f64>,
    /// The radius.
    pub eps: f64,
    /// The norm.
    pub norm: Norm,
    /// Ends of the box, if there is one.
    pub clip: Option<(f64, f64)>,
}

impl Ball {
    /// Around f32 numbers, without a box.
    pub fn new(center: &[f32], eps: f64, norm: Norm) -> Self {
        let center = center.iter().map(|&x| f64::from(x)).collect();
        Self { center, eps, norm, clip: None }
    }

    /// The smallest box around it.
    pub fn enclose(&self) -> Ends {
        let (lo, hi) = self.clip.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        (
            (&self.center - self.eps).mapv(|x| x.max(lo)),
            (&self.center + self.eps).mapv(|x| x.min(hi)),
        )
    }

    /// `min a_r . x` over the ball, for every row.
    fn minimum(&self, a: &Array2<f64>) -> Array1<f64> {
        let dual = |row: ArrayView1<'_, f64>| match self.norm {
            Norm::L1 => row.fold(0.0, |most: f64, x| most.max(x.abs())),
            Norm::L2 => row.dot(&row).sqrt(),
            Norm::Linf => row.mapv(f64::abs).sum(),
            Norm::Lp(p) => {
                let p = f64::from(p.get());
                power_norm(row, p / (p - 1.0))
            }
        };
        if self.norm == Norm::Linf && self.clip.is_some() {
            let (lo, hi) = self.enclose();
            return box_minimum(a.view(), &lo, &hi);
        }
        assert!(self.clip.is_none(), "only cubes are clipped");
        a.dot(&self.center) - a.map_axis(Axis(1), dual) * self.eps
    }
}

/// `(sum |x_i|^p)^(1/p)`.
fn power_norm(x: ArrayView1<'_, f64>, p: f64) -> f64 {
    let most = x.fold(0.0, |most: f64, x| most.max(x.abs()));
    if most == 0.0 {
        return 0.0;
    }
    most * x.mapv(|x| (x.abs() / most).powf(p)).sum().powf(1.0 / p)
}

/// `min a_r . x` over a box, for every row.
fn box_minimum(a: ArrayView2<'_, f64>, lo: &Array1<f64>, hi: &Array1<f64>) -> Array1<f64> {
    let least = |row: ArrayView1<'_, f64>| {
        let ends = row.iter().zip(lo).zip(hi);
        ends.map(|((&a, &l), &h)| if a >= 0.0 { a * l } else { a * h }).sum::<f64>()
    };
    a.map_axis(Axis(1), least)
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// The method; CROWN's lower slope is the adaptive one.
    pub method: Method,
    /// Whether a neuron's ends are the best of the interval step and of every stage of its walk,
    /// until it is stable, as the engine has it; else those of the whole walk, as the papers.
    pub intersect: bool,
}

/// The lines of a layer's activations: lower slope, upper slope, upper intercept.
struct Lines(Array1<f64>, Array1<f64>, Array1<f64>);

/// Bounds found.
pub struct Bounds {
    /// Lower bound of each specification row.
    pub lower: Array1<f64>,
    /// Pre-activation ends of each layer that a ReLU follows.
    pub layers: Vec<Ends>,
}

impl Dense {
    /// The stored network, its f32 weights exactly.
    ///
    /// # Panics
    /// If an activation is neither ReLU, tanh nor the identity.
    pub fn new(network: &Network) -> Self {
        let exact = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let layers = network.layers.iter().map(|layer| DenseLayer {
            weights: Array2::from_shape_vec((layer.rows, layer.cols), exact(&layer.weights))
                .expect("a weight for every place"),
            bias: exact(&layer.bias).into(),
            relu: layer.activation == Activation::Relu,
            smooth: match layer.activation {
                Activation::Identity | Activation::Relu => None,
                Activation::Tanh => Some(Smooth::TANH),
                other => panic!("{other:?}: dense bounds know ReLU only"),
            },
        });
        Self { layers: layers.collect() }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.bias.len())
    }

    /// Lower bounds of `spec f(x)` over the ball.
    ///
    /// # Panics
    /// If an activation is neither ReLU nor the identity.
    pub fn bounds(&self, ball: &Ball, spec: &Array2<f64>, how: How) -> Bounds {
        assert!(self.layers.iter().all(|layer| layer.smooth.is_none()), "ReLU only");
        let walks = matches!(how.method, Method::Crown | Method::FastLin);
        let (mut lines, mut layers, mut boxes) = (Vec::new(), Vec::new(), Vec::new());
        for (k, layer) in self.layers.iter().enumerate() {
            let mut ends = match boxes.last() {
                None => both(&layer.weights, &layer.bias, |a| ball.minimum(a)),
                Some((lo, hi)) => {
                    both(&layer.weights, &layer.bias, |a| box_minimum(a.view(), lo, hi))
                }
            };
            if layer.relu && k > 0 && walks {
                self.tighten(k, ball, &lines, &boxes, how.intersect, &mut ends);
            }
            lines.push(choose(layer.relu, &ends, how.method));
            let output = |x: &f64| if layer.relu { x.max(0.0) } else { *x };
            boxes.push((ends.0.map(output), ends.1.map(output)));
            if layer.relu {
                layers.push(ends);
            }
        }
        let last = self.layers.len() - 1;
        let mut at_last = None;
        let (a, c) =
            self.walk(last, spec.clone(), Array1::zeros(spec.nrows()), &lines, |j, a, c| {
                if j == last && j > 0 {
                    let (lo, hi) = &boxes[j - 1];
                    at_last = Some(box_minimum(a.view(), lo, hi) + c);
                }
            });
        let lower = match at_last {
            Some(lower) if how.method == Method::Ibp => lower,
            _ => ball.minimum(&a) + c,
        };
        Bounds { lower, layers }
    }

    /// The ends of layer `k` by back-substitution.
    fn tighten(
        &self,
        k: usize,
        ball: &Ball,
        lines: &[Lines],
        boxes: &[Ends],
        intersect: bool,
        ends: &mut Ends,
    ) {
        let layer = &self.layers[k];
        let is_open = |ends: &Ends, i: usize| ends.0[i] < 0.0 && ends.1[i] > 0.0;
        let open: Vec<usize> =
            (0..layer.bias.len()).filter(|&i| !intersect || is_open(ends, i)).collect();
        if open.is_empty() {
            return;
        }
        let (rows, bias) =
            (layer.weights.select(Axis(0), &open), layer.bias.select(Axis(0), &open));
        let a = concatenate![Axis(0), rows, -&rows];
        let c = concatenate![Axis(0), bias, -&bias];
        let mut narrow = |lower: Array1<f64>, whole: bool| {
            for (r, &i) in open.iter().enumerate() {
                let (lo, hi) = (lower[r], -lower[open.len() + r]);
                if !intersect && whole {
                    (ends.0[i], ends.1[i]) = (lo, hi);
                } else if intersect && is_open(ends, i) {
                    (ends.0[i], ends.1[i]) = (lo.max(ends.0[i]), hi.min(ends.1[i]));
                }
            }
        };
        let (a, c) = self.walk(k - 1, a, c, lines, |j, a, c| {
            if j > 0 && intersect {
                let (lo, hi) = &boxes[j - 1];
                narrow(box_minimum(a.view(), lo, hi) + c, false);
            }
        });
        narrow(ball.minimum(&a) + c, true);
    }

    /// Takes rows `a x_k + c` over the outputs of layer `k` back to the inputs; `see` gets them
    /// after each layer.
    fn walk(
        &self,
        k: usize,
        mut a: Array2<f64>,
        mut c: Array1<f64>,
        lines: &[Lines],
        mut see: impl FnMut(usize, &Array2<f64>, &Array1<f64>),
    ) -> (Array2<f64>, Array1<f64>) {
        for j in (0..=k).rev() {
            let Lines(lower, upper, intercept) = &lines[j];
            c += &a.mapv(|x| x.min(0.0)).dot(intercept);
            for row in a.rows_mut() {
                let step = |a: &mut f64, l: &f64, u: &f64| *a *= if *a >= 0.0 { *l } else { *u };
                Zip::from(row).and(lower).and(upper).for_each(step);
            }
            c += &a.dot(&self.layers[j].bias);
            a = a.dot(&self.layers[j].weights);
            see(j, &a, &c);
        }
        (a, c)
    }
}

/// Both ends of `W x + b`, `least` giving the minimum of rows.
fn both(w: &Array2<f64>, b: &Array1<f64>, least: impl Fn(&Array2<f64>) -> Array1<f64>) -> Ends {
    (least(w) + b, b - &least(&-w))
}

/// Paper 003, section 3: the chord above; below slope 1 or 0, or the chord's (Fast-Lin).
fn choose(relu: bool, (lo, hi): &Ends, method: Method) -> Lines {
    let line = |(&l, &u): (&f64, &f64)| {
        if !relu || l >= 0.0 {
            (1.0, 1.0, 0.0)
        } else if u <= 0.0 {
            (0.0, 0.0, 0.0)
        } else {
            let chord = u / (u - l);
            let adaptive = if u >= -l { 1.0 } else { 0.0 };
            (if method == Method::FastLin { chord } else { adaptive }, chord, -chord * l)
        }
    };
    let all: Vec<_> = lo.iter().zip(hi).map(line).collect();
    let part = |f: fn(&(f64, f64, f64)) -> f64| all.iter().map(f).collect();
    Lines(part(|x| x.0), part(|x| x.1), part(|x| x.2))
}

/// The rows `e_class - e_j`, all `j != class` in increasing order.
pub fn margins(class: usize, outputs: usize) -> Array2<f64> {
    let others: Vec<usize> = (0..outputs).filter(|&j| j != class).collect();
    Array2::from_shape_fn((others.len(), outputs), |(r, j)| {
        f64::from(u8::from(j == class)) - f64::from(u8::from(j == others[r]))
    })
}
