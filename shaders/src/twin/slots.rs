//! Twin of `slots`.

use crate::layout::Step;

/// Which row each slot holds.
pub fn slots(p: &Step, chosen: &[u32], slots: &mut [[u32; 2]], rows: &mut [u32]) {
    let samples = p.samples as usize;
    for (slot, to) in slots.iter_mut().enumerate() {
        // Those without rows begin where the next do.
        let sample = (0..samples).rfind(|sample| rows[*sample] <= slot as u32).unwrap_or(0);
        let row = slot - rows[sample] as usize;
        let neuron = chosen[samples + sample * p.width as usize + row / 2];
        *to = [sample as u32, 2 * neuron + (row % 2) as u32];
        rows[2 * samples + slot] = slot as u32;
    }
}
