//! What is asked of the outputs: rows of a matrix `C`, each a linear function of the outputs.

/// Specification rows over the outputs of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spec<'a> {
    /// A classifier's margins `y_class - y_j`, all `j != class` in increasing order.
    Margins {
        /// The class whose output shall be the largest.
        class: usize,
    },
    /// Each output from below, then each from above: rows `e_0, .., e_n-1, -e_0, .., -e_n-1`.
    Outputs,
    /// Any rows.
    Rows {
        /// Row-major `[rows][outputs]`.
        matrix: &'a [f32],
        /// Number of rows.
        rows: usize,
    },
}

impl Spec<'_> {
    /// Number of rows for a model with `outputs` outputs.
    pub const fn count(&self, outputs: usize) -> usize {
        match self {
            Spec::Margins { .. } => outputs.saturating_sub(1),
            Spec::Outputs => 2 * outputs,
            Spec::Rows { rows, .. } => *rows,
        }
    }

    /// Whether the rows fit a model with `outputs` outputs and are finite.
    pub fn fits(&self, outputs: usize) -> bool {
        match self {
            Spec::Margins { class } => *class < outputs,
            Spec::Outputs => true,
            Spec::Rows { matrix, rows } => {
                rows.checked_mul(outputs) == Some(matrix.len())
                    && matrix.iter().all(|x| x.is_finite())
            }
        }
    }

    /// Coefficient of output `j` in row `row`; the row after the last margin is the class's output.
    #[inline]
    pub fn coefficient(&self, row: usize, j: usize, outputs: usize) -> f32 {
        match self {
            Spec::Margins { class } => {
                let other = if row < *class { row } else { row + 1 };
                if j == *class {
                    1.0
                } else if j == other {
                    -1.0
                } else {
                    0.0
                }
            }
            Spec::Outputs => {
                if row == j {
                    1.0
                } else if row == j + outputs {
                    -1.0
                } else {
                    0.0
                }
            }
            Spec::Rows { matrix, .. } => matrix.get(row * outputs + j).copied().unwrap_or(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(spec: Spec<'_>, outputs: usize) -> [[f32; 3]; 6] {
        let mut out = [[9.0; 3]; 6];
        for (r, row) in out.iter_mut().enumerate().take(spec.count(outputs)) {
            for (j, x) in row.iter_mut().enumerate() {
                *x = spec.coefficient(r, j, outputs);
            }
        }
        out
    }

    #[test]
    fn rows_by_hand() {
        let m = matrix(Spec::Margins { class: 1 }, 3);
        assert_eq!(&m[..2], &[[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]]);
        let o = matrix(Spec::Outputs, 3);
        assert_eq!(o[2], [0.0, 0.0, 1.0]);
        assert_eq!(o[3], [-1.0, 0.0, 0.0]);
        assert!(!Spec::Margins { class: 3 }.fits(3));
        assert!(!Spec::Rows { matrix: &[1.0; 5], rows: 2 }.fits(3));
        assert!(!Spec::Rows { matrix: &[f32::NAN; 6], rows: 2 }.fits(3));
    }
}
