//! What those who ask get: a stage of a plan, which waits for the device.

use std::sync::PoisonError;

use super::{Ahead, Asked, Bound, Bounds, State};
use crate::attack::{Attack, Worker};
use crate::gpu::climb::Peak;
use crate::plan::{Ball, Candidate, Done, Known, Predicted, Stage};
use crate::question::{Answer, closed};

impl Ahead {
    /// Waits for what `get` looks for; none where it will not come.
    fn wait<T>(&self, get: impl Fn(&State) -> Option<T>) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            let found = get(&state);
            if found.is_some() || state.ended {
                return found;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Seconds that the device's bounds of a sample took, where it has found them.
    fn answered(&self, index: usize) -> Option<f64> {
        let state = self.shared.lock();
        let answer = state.answers.get(&index)?.as_ref().filter(|answer| answer.is_whole())?;
        answer.found.as_ref().map(|_| answer.seconds)
    }

    /// The device's margins of a ball, CROWN's and those by slopes.
    pub(in crate::gpu) fn bounds(&self, ball: &Ball<'_>) -> Option<Bounds> {
        match self.answer(ball) {
            Some(Bound::Margins(bounds)) if self.is_about(ball) => Some(bounds),
            _ => None,
        }
    }

    /// Whether a ball has the radius that was asked about.
    fn is_about(&self, ball: &Ball<'_>) -> bool {
        matches!(self.asked, Asked::Ball(epsilon) if epsilon == ball.epsilon)
    }

    /// The backend of the searches, and the seconds of that for a sample; none where there was none.
    pub(in crate::gpu) fn searched(&self, index: usize) -> Option<(&str, f64)> {
        let state = self.shared.lock();
        let seconds = state.answers.get(&index)?.as_ref()?.searched?;
        Some((&self.backend, seconds))
    }

    /// Waits for the device's answer about a sample.
    fn answer(&self, ball: &Ball<'_>) -> Option<Bound> {
        self.wait(|state| {
            let answer = state.answers.get(&ball.index)?.as_ref();
            let same = answer.filter(|answer| answer.class == ball.class);
            Some(same.and_then(|answer| answer.found.clone()))
        })?
    }
}

impl Stage for Ahead {
    fn name(&self) -> &'static str {
        self.cpu.name()
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        if self.is_about(ball) {
            let apart = self.searching.is_some_and(|searching| searching.apart);
            match self.answer(ball) {
                Some(Bound::Margins(bounds)) if apart => known.raise(&bounds.crown),
                Some(Bound::Margins(bounds)) => known.raise(&bounds.best()),
                Some(Bound::Clear(radius)) => known.clear = known.clear.max(f64::from(radius)),
                _ => return self.cpu.settle(worker, ball, known),
            }
            return Ok(Default::default());
        }
        self.cpu.settle(worker, ball, known)
    }

    fn predicted(&self, index: usize) -> Option<Predicted> {
        self.wait(|state| state.classes.get(&index).copied())
    }

    fn candidate(
        &self,
        attack: &Attack,
        index: usize,
        class: usize,
        epsilon: f64,
    ) -> Option<Candidate> {
        let (radius, alone) = match self.asked {
            Asked::Ball(radius) => (radius, false),
            Asked::Attack(radius) => (radius, true),
            Asked::Radius(_) => return None,
        };
        self.wait(|state| {
            let answer = state.answers.get(&index)?.as_ref();
            let same = answer.filter(|answer| radius == epsilon && answer.class == class);
            Some(same.and_then(|answer| {
                let (_, peak) = answer.peaks.iter().find(|(of, _)| of == attack)?;
                let Peak { point, lead } = peak.clone();
                // Beside bounds its time is counted with theirs.
                let seconds = if alone { answer.seconds } else { 0.0 };
                Some(Candidate { point, lead, backend: self.backend.clone(), seconds })
            }))
        })?
    }

    fn backend(&self, index: usize) -> Option<&str> {
        self.answered(index).map(|_| &*self.backend)
    }

    fn seconds(&self, index: usize) -> Option<f64> {
        self.answered(index)
    }

    fn radius(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, answer: &mut Answer) -> Option<f64> {
        match self.answer(ball) {
            Some(Bound::Radius(radius)) => Some(radius),
            Some(Bound::Clear(radius)) => Some(closed(radius)),
            _ => self.cpu.radius(worker, ball, answer),
        }
    }
}
