//! The regions of a batch, as kernels take them.

use certus_engine::bounds::Error;
use certus_engine::num::add_up;
use certus_engine::region::Region;
use certus_shaders::layout::SCALARS;

use super::super::shape::normal_up;
use super::{Crown, Sample};

impl Crown<'_> {
    /// Writes the samples' regions; gives for each whether it can be asked about.
    pub(in crate::gpu) fn upload(&self, samples: &[Sample<'_>]) -> Vec<Result<(), Error>> {
        let (n, layers) = (self.inputs, self.net.shape.layers.len());
        let outputs = self.net.shape.layers[layers - 1].rows;
        let mut boxes = vec![0.0f32; 2 * samples.len() * n];
        let mut scalars = vec![0.0f32; samples.len() * (SCALARS + layers)];
        let (mids, rads) = boxes.split_at_mut(samples.len() * n);
        let mut fits = Vec::with_capacity(samples.len());
        let of = samples.iter().zip(mids.chunks_exact_mut(n)).zip(rads.chunks_exact_mut(n));
        for (((sample, mid), rad), scalars) in of.zip(scalars.chunks_exact_mut(SCALARS + layers)) {
            let mut fit = sample.region.check(n).map_err(Error::from);
            if fit.is_ok() && sample.class >= outputs {
                fit = Err(Error::Spec);
            }
            if fit.is_ok() {
                sample.region.enclose(mid, rad);
                // A device may take subnormal numbers as 0.
                let mut moved = 0.0f32;
                for (m, r) in mid.iter_mut().zip(rad.iter_mut()) {
                    if m.is_subnormal() {
                        (*m, *r) = (0.0, add_up(*r, m.abs()));
                        moved += f32::MIN_POSITIVE;
                    }
                    *r = normal_up(*r);
                }
                let sizes = || mid.iter().zip(&*rad).map(|(m, r)| add_up(m.abs(), *r));
                let largest = sizes().fold(0.0f32, f32::max);
                scalars[0] = sizes().fold(0.0, add_up);
                if !self.net.is_in_range(f64::from(largest), f64::from(scalars[0])) {
                    fit = Err(Error::Magnitude { layer: 0 });
                }
                scalars[1] = match sample.region {
                    Region::Ball(ball) | Region::BallInBox { ball, .. }
                        if ball.norm == self.norm =>
                    {
                        // Around the middle that the device has.
                        let around =
                            if moved > 0.0 { add_up(ball.radius, moved) } else { ball.radius };
                        normal_up(around)
                    }
                    // Of no ball of this norm: the box's own length, in l1, which no other exceeds.
                    _ => rad.iter().copied().fold(0.0, add_up),
                };
            }
            if fit.is_err() {
                // Its part of the batch computes the harmless.
                mid.fill(0.0);
                rad.fill(0.0);
                scalars.fill(0.0);
            }
            fits.push(fit);
        }
        self.device.write(&self.memory.inputs, 0, bytemuck::cast_slice(&boxes));
        self.device.write(&self.memory.scalars, 0, bytemuck::cast_slice(&scalars));
        // What no kernel writes is no bound.
        let nothing = vec![f32::NAN; samples.len() * outputs];
        self.device.write(&self.memory.found, 0, bytemuck::cast_slice(&nothing));
        fits
    }
}
