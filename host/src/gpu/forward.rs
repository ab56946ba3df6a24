//! Classes of a batch of samples: those that the cores' forward pass gives, where that is sure.

use certus_engine::num::{gamma, underflow};
use certus_engine::region::{Norm, Region};
use certus_shaders::layout::{DEPLOYED, SCALARS, Step};

use super::crown::{Crown, Sample};
use super::device::Fault;
use crate::cpu::row_depth;

impl Crown<'_> {
    /// The class of each point as [`predict`](crate::cpu::Runner::predict) of a
    /// [`Runner::new`](crate::cpu::Runner::new) gives it; none where that is not sure, and
    /// none at all of a network with curved activations.
    ///
    /// `points`: the inputs of each. The cores' pass is in f32: `z = fl(fl(W_i x) + b_i)`, a term of the
    /// row sum rounded [`row_depth`] times at most, and then the activation, which is monotone. So where
    /// its activations x lie in a box, z is within `gamma(row_depth + 1) (|W_i| |x| + |b_i|)`, and what
    /// underflow takes, of `W_i x + b_i` (`soundness.md` 6), which the interval step bounds over the box:
    /// layer by layer from the point itself the boxes hold what the cores compute. A class is sure whose
    /// output's lower end is above the others' upper ends.
    ///
    /// # Errors
    /// [`Fault`], from the device; nothing is known of any of the points then.
    ///
    /// Memory: that of a batch. Work: three multiply-adds for each weight and point.
    pub fn classes(&self, points: &[&[f32]]) -> Result<Vec<Option<usize>>, Fault> {
        if self.net.shape.has_curves() {
            return Ok(vec![None; points.len()]);
        }
        let mut all = Vec::with_capacity(points.len());
        for batch in points.chunks(self.capacity().samples) {
            self.forward(batch, &mut all)?;
        }
        Ok(all)
    }

    fn forward(&self, points: &[&[f32]], all: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        let samples: Vec<Sample<'_>> = points
            .iter()
            .map(|x| Sample { region: Region::ball(x, 0.0, Norm::Linf), class: 0 })
            .collect();
        let (count, shape) = (samples.len(), &self.net.shape);
        let fits = self.upload(&samples);
        let outputs = shape.layers[shape.last()].rows;
        // What no kernel writes is no output.
        let nothing = vec![f32::NAN; 2 * count * outputs];
        self.device.write(&self.outputs, 0, bytemuck::cast_slice(&nothing));
        let mut tape = self.device.tape();
        for (k, layer) in shape.layers.iter().enumerate() {
            let change = |step| as_computed(step, layer.cols);
            self.interval(&mut tape, count, k, change)?;
            self.lines(&mut tape, count, k, change)?;
        }
        tape.read(&self.outputs, 2 * count * outputs);
        tape.read(&self.memory.scalars, count * (SCALARS + shape.layers.len()));
        let [found, scalars] = self.submit(tape)?;
        let found: &[f32] = bytemuck::cast_slice(&found);
        let scalars: &[f32] = bytemuck::cast_slice(&scalars);
        let (mids, rads) = found.split_at(count * outputs);
        let boxes = mids.chunks_exact(outputs).zip(rads.chunks_exact(outputs));
        let scalars = scalars.chunks_exact(SCALARS + shape.layers.len());
        for (((mids, rads), scalars), fits) in boxes.zip(scalars).zip(fits) {
            let known = fits.is_ok() && scalars[2] == 0.0;
            all.push(if known { sure(mids, rads, shape.rectified) } else { None });
        }
        Ok(())
    }
}

/// The interval step of the stored network, widened to what the cores compute.
fn as_computed(step: Step, cols: usize) -> Step {
    Step {
        flags: DEPLOYED,
        norm: 0,
        weight_error: 0.0,
        bias_error: 0.0,
        relative: gamma(row_depth(cols) + 1),
        absolute: underflow(cols),
        ..step
    }
}

/// The class whose output, within its radius of its middle, is above all others; `rectified`: after a
/// ReLU that has not been taken yet.
fn sure(mids: &[f32], rads: &[f32], rectified: bool) -> Option<usize> {
    let end = |i: usize, sign: f64| f64::from(mids[i]) + sign * f64::from(rads[i]);
    let class = (0..mids.len()).max_by(|i, j| mids[*i].total_cmp(&mids[*j]))?;
    // Each end is rounded once.
    let least = Some(end(class, -1.0).next_down()).filter(|least| least.abs() < f64::MAX)?;
    // Written so that a NaN is not below.
    let below = |j: usize| end(j, 1.0).next_up() < least;
    let others = (0..mids.len()).filter(|j| *j != class).all(below);
    (others && (!rectified || least > 0.0)).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_sure_beyond_both_errors() {
        let (mids, rads) = ([0.5, 2.0, 1.0], [0.25, 0.5, 0.25]);
        assert_eq!(sure(&mids, &rads, false), Some(1));
        assert_eq!(sure(&mids, &rads, true), Some(1));
        // As far apart as both may be off.
        assert_eq!(sure(&mids, &[0.25, 0.5, 0.5], false), None);
        assert_eq!(sure(&mids, &[0.25, 0.75, 0.25], false), None);
        assert_eq!(sure(&[1.0, 1.0], &[0.0, 0.0], false), None);
        // Nothing is above 0 after the ReLU.
        let mids = [-3.0, -1.0];
        assert_eq!(sure(&mids, &[0.5, 0.5], false), Some(1));
        assert_eq!(sure(&mids, &[0.5, 0.5], true), None);
        for wrong in [f32::NAN, f32::INFINITY] {
            assert_eq!(sure(&[0.0, 1.0], &[0.0, wrong], false), None);
            assert_eq!(sure(&[0.0, 1.0], &[wrong, 0.0], false), None);
            assert_eq!(sure(&[wrong, 1.0], &[0.0, 0.0], false), None, "{wrong}");
        }
        assert_eq!(sure(&[], &[], false), None);
    }
}
