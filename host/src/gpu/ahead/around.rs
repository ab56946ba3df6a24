//! What a device does around its bounds: classes before, attacks and searches for slopes after.

use std::time::Instant;

use certus_engine::model::Model;

use super::{Asked, Asking, Bound, Job, Shared, Stop};
use crate::attack::{Attack, Threat};
use crate::cpu::Runner;
use crate::gpu::climb::{Goal, Peak};
use crate::gpu::crown::Crown;
use crate::gpu::device::Fault;
use crate::plan::Predicted;

impl Job {
    /// Tells the classes of a chunk's samples; gives those that are classified as their labels say.
    pub(super) fn classify<'d>(
        &'d self,
        crown: &mut Option<Crown<'d>>,
        model: &Model<'_>,
        chunk: &[usize],
        shared: &Shared,
    ) -> Result<Vec<Asking<'d>>, Stop> {
        let begun = Instant::now();
        let points: Vec<&[f32]> = chunk.iter().map(|index| self.set.row(*index)).collect();
        let mut classes = self
            .persist(crown, model, chunk.len(), shared, |crown| crown.classes(&points))?
            .into_iter()
            .zip(chunk)
            .map(|(class, index)| (*index, class))
            .collect::<Vec<_>>();
        if self.profiled {
            let sure = classes.iter().filter(|(_, class)| class.is_some()).count();
            let mut state = shared.lock();
            let [found, all] = &mut state.profiled.get_or_insert_default().classes;
            (*found, *all) = (*found + sure, *all + classes.len());
        }
        self.predict(*model, &mut classes);
        let seconds = begun.elapsed().as_secs_f64() / classes.len().max(1) as f64;
        let told = classes.iter().map(|(index, class)| {
            let class = *class;
            (*index, Predicted { class, seconds })
        });
        shared.lock().classes.extend(told);
        shared.changed.notify_all();
        let ask = |(index, class): (usize, Option<usize>)| {
            let (x, class) = (self.set.row(index), class?);
            let right = self.set.label(index).is_none_or(|label| label == class);
            right.then_some(Asking { index, x, class })
        };
        Ok(classes.into_iter().filter_map(ask).collect())
    }

    /// Has the cores predict the classes that are not known.
    ///
    /// In threads of its own: all of a pool may be waiting for what comes of it.
    fn predict(&self, model: Model<'_>, classes: &mut [(usize, Option<usize>)]) {
        let mut open: Vec<_> = classes.iter_mut().filter(|(_, class)| class.is_none()).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let few = open.len().div_ceil(threads).max(1);
        let part = |part: &mut [&mut (usize, Option<usize>)]| {
            let mut runner = Runner::new(model, false);
            for (index, class) in part {
                *class = runner.predict(self.set.row(*index));
            }
        };
        std::thread::scope(|scope| {
            for of in open.chunks_mut(few) {
                scope.spawn(move || part(of));
            }
        });
    }

    /// The best points of the attacks on those that `answers` leave open.
    pub(super) fn peaks(
        &self,
        crown: &Crown<'_>,
        asked: &[Asking<'_>],
        answers: &[Option<Bound>],
        shared: &Shared,
    ) -> Result<Vec<Vec<(Attack, Peak)>>, Fault> {
        let mut all: Vec<Vec<(Attack, Peak)>> = asked.iter().map(|_| Vec::new()).collect();
        let (Asked::Ball(epsilon) | Asked::Attack(epsilon)) = self.asked else { return Ok(all) };
        if crown.shape().has_curves() {
            return Ok(all);
        }
        let proved = |i: &usize| answers[*i].as_ref().is_some_and(|bound| bound.proves(epsilon));
        let mut open: Vec<usize> = (0..asked.len()).filter(|i| !proved(i)).collect();
        for attack in &self.attacks {
            let norm = self.norm;
            let descent = attack.descent(epsilon).filter(|descent| Crown::climbs(descent, norm));
            let Some(descent) = descent.filter(|_| !open.is_empty()) else { continue };
            if shared.lock().stopped {
                break;
            }
            let goal = |i: &usize| {
                let Asking { index, x, class } = asked[*i];
                let threat = Threat { center: x, epsilon, norm, clip: attack.clip };
                Goal { index, class, threat }
            };
            let goals: Vec<Goal<'_>> = open.iter().map(goal).collect();
            let found = crown.climb(&descent, &goals)?;
            for (i, peak) in open.iter().zip(found) {
                all[*i].extend(peak.map(|peak| (*attack, peak)));
            }
            // Where one seems to have crossed, no other is needed.
            open.retain(|i| all[*i].iter().all(|(_, peak)| peak.lead < 0.0));
        }
        Ok(all)
    }

    /// Bounds of the margins by slopes that are searched for, of those that neither CROWN nor an attack
    /// settles.
    pub(super) fn slopes(
        &self,
        crown: &Crown<'_>,
        asked: &[Asking<'_>],
        answers: &[Option<Bound>],
        peaks: &[Vec<(Attack, Peak)>],
        shared: &Shared,
    ) -> Result<Vec<(usize, Vec<f32>)>, Fault> {
        let Asked::Ball(epsilon) = self.asked else { return Ok(Vec::new()) };
        let bounded = |i: &usize| match &answers[*i] {
            Some(bound @ Bound::Margins(_)) => !bound.proves(epsilon),
            _ => false,
        };
        let crossed = |i: &usize| peaks[*i].iter().any(|(_, peak)| peak.lead >= 0.0);
        let open: Vec<usize> = (0..asked.len()).filter(|i| bounded(i) && !crossed(i)).collect();
        if crown.settings().is_none() || open.is_empty() || shared.lock().stopped {
            return Ok(Vec::new());
        }
        let of: Vec<_> = open.iter().map(|i| (&asked[*i], epsilon)).collect();
        let found = open.iter().zip(self.bounds(crown, &of, true)?);
        Ok(found.filter_map(|(i, bounds)| Some((*i, bounds?.slopes?))).collect())
    }
}
