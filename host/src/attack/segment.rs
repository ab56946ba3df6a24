//! The boundary on the segment from the base to a point beyond it.

use super::gradient::Gradient;
use super::lead::lead;
use super::threat::Place;

/// Points tried at once, and how often: the boundary is found to a part in `16^5`.
const PARTS: usize = 16;
const ROUNDS: usize = 5;

/// The point nearest to the base, among those tried on the segment to `point`, at which another
/// output leads in f32; `None` if none does.
pub fn shrink<G: Gradient>(
    gradient: &mut G,
    place: &Place,
    class: usize,
    point: &[f32],
) -> Option<Vec<f32>> {
    let way = place.way(point);
    let n = way.len();
    let (mut low, mut high) = (0.0, 1.0);
    let mut best = None;
    for _ in 0..ROUNDS {
        let share = |i: usize| low + (high - low) * (i + 1) as f64 / PARTS as f64;
        let mut points = vec![0.0; PARTS * n];
        for (i, point) in points.chunks_exact_mut(n).enumerate() {
            let mut way: Vec<f64> = way.iter().map(|w| w * share(i)).collect();
            place.put(&mut way, point);
        }
        let outputs = gradient.outputs();
        let leads = gradient.forward(&points).chunks_exact(outputs);
        let crossed =
            leads.map(|y| lead(y, class)).position(|l| l.is_some_and(|(lead, _)| lead >= 0.0));
        let Some(i) = crossed else { break };
        best = Some(points[i * n..(i + 1) * n].to_vec());
        (low, high) = (share(i) - (high - low) / PARTS as f64, share(i));
    }
    best
}
