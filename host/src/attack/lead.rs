//! How far another output is ahead of a class's own.

/// The lead of the best other output over output `class`, and that output; `None` if there is no
/// other or one is NaN.
pub fn lead(outputs: &[f32], class: usize) -> Option<(f32, usize)> {
    let own = *outputs.get(class)?;
    let mut best: Option<(f32, usize)> = None;
    for (j, y) in outputs.iter().enumerate().filter(|(j, _)| *j != class) {
        let lead = y - own;
        if lead.is_nan() {
            return None;
        }
        if best.is_none_or(|(most, _)| lead > most) {
            best = Some((lead, j));
        }
    }
    best
}

/// The other classes, the largest output first.
pub(crate) fn others(outputs: &[f32], class: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..outputs.len()).filter(|j| *j != class).collect();
    classes.sort_by(|a, b| outputs[*b].total_cmp(&outputs[*a]));
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_other() {
        assert_eq!(lead(&[1.0, 3.0, 2.0], 1), Some((-1.0, 2)));
        assert_eq!(lead(&[1.0, 3.0, 2.0], 0), Some((2.0, 1)));
        assert_eq!(lead(&[1.0, f32::NAN], 0), None);
        assert_eq!(lead(&[1.0], 0), None);
        assert_eq!(lead(&[1.0, 2.0], 2), None);
        assert_eq!(others(&[1.0, 3.0, 2.0, 3.0], 2), [1, 3, 0]);
    }
}
