//! DeepFool: to the nearest boundary of the network linearised at each point it comes to.

use certus_engine::region::Norm;

use super::gradient::Gradient;
use super::lead::{lead, others};
use super::project::{length, onto};
use super::threat::{Place, rooms};

/// DeepFool in any norm, within a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeepFool {
    /// Most steps.
    pub steps: usize,
    /// By how much the whole way is lengthened, to come across the boundary.
    pub overshoot: f64,
}

/// Other classes that are looked at, those with the largest outputs.
pub(super) const CLASSES: usize = 10;

impl Default for DeepFool {
    fn default() -> Self {
        Self { steps: 50, overshoot: 0.02 }
    }
}

impl DeepFool {
    /// A point at which another output leads in f32, if one is reached, else the last one.
    ///
    /// `clip` is the box that `place` has. Work: a forward pass a step, and a backward pass of as
    /// many rows as classes are looked at.
    pub fn run<G: Gradient>(
        &self,
        gradient: &mut G,
        place: &Place,
        clip: Option<(f32, f32)>,
        class: usize,
    ) -> Vec<f32> {
        let mut point = place.base.clone();
        let mut total = vec![0.0; point.len()];
        for _ in 0..self.steps {
            let values = gradient.forward(&point).to_vec();
            if lead(&values, class).is_none_or(|(lead, _)| lead >= 0.0) {
                break;
            }
            let rooms = rooms(&point, clip);
            let Some(step) = nearest(gradient, &values, class, &rooms, place.norm()) else {
                break;
            };
            total.iter_mut().zip(&step).for_each(|(total, step)| *total += step);
            let mut way: Vec<f64> = total.iter().map(|w| w * (1.0 + self.overshoot)).collect();
            place.put(&mut way, &mut point);
        }
        point
    }
}

/// The shortest way to a boundary with another class of the network linearised at the one point of
/// the last forward pass, which gave `values`.
fn nearest<G: Gradient>(
    gradient: &mut G,
    values: &[f32],
    class: usize,
    rooms: &[[f64; 2]],
    norm: Norm,
) -> Option<Vec<f64>> {
    let n = gradient.inputs();
    let classes = others(values, class);
    let classes = &classes[..classes.len().min(CLASSES)];
    let slopes = gradient.backward(&seeds(classes, class, values.len()), classes.len());
    let ways = classes.iter().zip(slopes.chunks_exact(n)).filter_map(|(other, slope)| {
        let gap = f64::from(values[class]) - f64::from(values[*other]);
        let way = onto(slope, gap, rooms, norm)?;
        Some((length(&way, norm), way))
    });
    ways.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, way)| way)
}

/// Rows `e_j - e_class`.
pub(super) fn seeds(classes: &[usize], class: usize, outputs: usize) -> Vec<f32> {
    let mut seeds = vec![0.0; classes.len() * outputs];
    for (row, other) in seeds.chunks_exact_mut(outputs).zip(classes) {
        row[*other] = 1.0;
        row[class] = -1.0;
    }
    seeds
}
