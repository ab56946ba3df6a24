//! Small outputs over a ball, searched for in f64: what no bound may exceed.

use certus_engine::region::Norm;
use ndarray::{Array1, Array2, ArrayViewMut1, Axis, Zip};

use super::{Ball, Dense};

impl Dense {
    /// Outputs at each row of `x`.
    pub fn forward(&self, x: &Array2<f64>) -> Array2<f64> {
        self.trace(x).0
    }

    /// Outputs, and each layer's pre-activations.
    fn trace(&self, x: &Array2<f64>) -> (Array2<f64>, Vec<Array2<f64>>) {
        let (mut x, mut pre) = (x.clone(), Vec::new());
        for layer in &self.layers {
            let z = x.dot(&layer.weights.t()) + &layer.bias;
            x = match layer.smooth {
                Some(smooth) => z.mapv(smooth.value),
                None if layer.relu => z.mapv(|z| z.max(0.0)),
                None => z.clone(),
            };
            pre.push(z);
        }
        (x, pre)
    }

    /// Gradients of `rows_i . f(x_i)` from a trace.
    fn gradient(&self, pre: &[Array2<f64>], rows: &Array2<f64>) -> Array2<f64> {
        let mut g = rows.clone();
        for (layer, z) in self.layers.iter().zip(pre).rev() {
            if let Some(smooth) = layer.smooth {
                Zip::from(&mut g).and(z).for_each(|g, z| *g *= (smooth.slope)(*z));
            } else if layer.relu {
                Zip::from(&mut g).and(z).for_each(|g, z| *g *= f64::from(u8::from(*z > 0.0)));
            }
            g = g.dot(&layer.weights);
        }
        g
    }

    /// The smallest values found of `spec f(x)` over the ball, for every row: projected gradient
    /// descent on each row from the centre (whose first steps are corners of the ball) and from
    /// random points, every row evaluated at every point on the way.
    pub fn search(
        &self,
        ball: &Ball,
        spec: &Array2<f64>,
        restarts: usize,
        steps: usize,
        rng: &mut fastrand::Rng,
    ) -> Array1<f64> {
        let (n, inputs) = (spec.nrows(), ball.center.len());
        let mut x = Array2::zeros((n * restarts, inputs));
        for (i, mut x) in x.rows_mut().into_iter().enumerate() {
            x.assign(&ball.center);
            if i >= n {
                x.iter_mut().for_each(|x| *x += ball.eps * (2.0 * rng.f64() - 1.0));
                project(x, ball);
            }
        }
        let rows = Array2::from_shape_fn((n * restarts, spec.ncols()), |(i, j)| spec[[i % n, j]]);
        let mut least = Array1::from_elem(n, f64::INFINITY);
        for step in 0..=steps {
            let (y, pre) = self.trace(&x);
            for values in y.dot(&spec.t()).rows() {
                Zip::from(&mut least)
                    .and(values)
                    .for_each(|least, value| *least = least.min(*value));
            }
            let g = self.gradient(&pre, &rows);
            let reach = ball.eps * 2.0 * (1.0 - step as f64 / (steps + 1) as f64).powi(2);
            for (mut x, g) in x.axis_iter_mut(Axis(0)).zip(g.rows()) {
                let size = g.dot(&g).sqrt().max(f64::MIN_POSITIVE);
                Zip::from(&mut x).and(g).for_each(|x, g| {
                    *x -= reach * if ball.norm == Norm::Linf { g.signum() } else { g / size };
                });
                project(x, ball);
            }
        }
        least
    }
}

/// Moves a point into the ball.
fn project(mut x: ArrayViewMut1<'_, f64>, ball: &Ball) {
    let (lo, hi) = ball.enclose();
    Zip::from(&mut x).and(&lo).and(&hi).for_each(|x, lo, hi| *x = x.clamp(*lo, *hi));
    let offset = &x - &ball.center;
    let size = match ball.norm {
        Norm::L1 => offset.mapv(f64::abs).sum(),
        Norm::L2 => offset.dot(&offset).sqrt(),
        Norm::Lp(p) => super::power_norm(offset.view(), f64::from(p.get())),
        Norm::Linf => return,
    };
    if size > ball.eps {
        // Just inside, so that rounding does not leave it outside.
        let back = ball.eps / size * (1.0 - 1e-12);
        Zip::from(&mut x).and(&offset).and(&ball.center).for_each(|x, d, c| *x = c + d * back);
    }
}
