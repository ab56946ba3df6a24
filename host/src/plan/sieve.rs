//! An attack between cheap proofs and costly ones.

use super::{Ball, Done, Known, Stage};
use crate::attack::{Aim, Attack, Descent, Method, Worker};

/// A short PGD: what has another answer near by need not be bounded any better.
#[derive(Clone, Copy, Debug)]
pub struct Sieve {
    /// The attack, without a box.
    pub attack: Attack,
}

impl Default for Sieve {
    /// 8 steps from the sample itself.
    fn default() -> Self {
        let descent = Descent { steps: 8, restarts: 1, aim: Aim::Best, ..Descent::PGD };
        Self { attack: Attack { descent, ..Attack::new(Method::Pgd) } }
    }
}

impl Stage for Sieve {
    fn name(&self) -> &'static str {
        self.attack.method.name()
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let attack = Attack { clip: ball.question.inner, ..self.attack };
        Ok(attack.falsify(worker, ball, known))
    }
}
