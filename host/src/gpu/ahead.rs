//! A GPU that answers chunks of samples ahead of the threads that ask: a stage of a plan.

mod around;
mod stage;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use certus_engine::bounds::Options;
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};

use super::climb::Peak;
use super::crown::{Crown, Sample};
use super::device::{Device, Fault, Profile};
use super::faces::{Clear, Faces};
use super::memory::Capacity;
use super::net::Unfit;
use super::slopes::Bounds;
use crate::alpha::Settings;
use crate::attack::Attack;
use crate::dataset::Dataset;
use crate::plan::{Predicted, SharedStage, Simplex, propagation};
use crate::radius::{Search, Steps};

/// Most samples that are answered together: enough to keep a device busy, few enough to begin soon.
const CHUNK: usize = 1024;

/// The same on a software driver.
const SMALL_CHUNK: usize = 16;

/// So many times the budget of rounding, and the share of a radius that is given up for it: what
/// certifies with both loses at most half of that share, 0.1 %, to the one budget that there is.
/// (The largest radius falls, and with no less than the budget's growth, where margins are concave.)
const TIMES: u32 = 3;
const SHARE: f64 = 0.002;

/// The method that knows its radii at once.
const SIMPLEX: &str = "simplex";

/// What a backend's name begins with.
const PREFIX: &str = "gpu ";

/// What is asked of every sample.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// One radius.
    Ball(f64),
    /// The largest radius.
    Radius(Search),
    /// Nothing but attacks in a ball of this radius.
    Attack(f64),
}

/// What the device is to do.
pub struct Job {
    /// The device.
    pub device: Device,
    /// The model's blob.
    pub words: Arc<Vec<u32>>,
    /// The samples.
    pub set: Arc<Dataset>,
    /// Which of them, in the order in which they are asked for.
    pub todo: Vec<usize>,
    /// The method's name and options; of `simplex` its semantics.
    pub method: (&'static str, Options),
    /// The balls' norm.
    pub norm: Norm,
    /// The box that cuts them.
    pub clip: Option<(f32, f32)>,
    /// What is asked.
    pub asked: Asked,
    /// Attacks on what the method leaves open in balls, each on what those before it have left.
    pub attacks: Vec<Attack>,
    /// Whether its kernels are timed and its multiply-adds counted.
    pub profiled: bool,
    /// Called with what the user should know: why the device stops.
    pub notice: Box<dyn Fn(&str) + Send + Sync>,
}

/// Slopes that a device searches for where CROWN and attacks leave a sample open.
#[derive(Clone, Copy, Debug)]
pub struct Searching {
    /// How.
    pub settings: Settings,
    /// Whether a stage of its own, [`Searched`](super::Searched), answers with what they prove; that of
    /// the device answers with CROWN's bounds then.
    pub apart: bool,
}

/// What a device did.
#[derive(Clone, Debug, Default)]
pub struct Profiled {
    /// Multiply-adds of products.
    pub macs: u64,
    /// Seconds in which the host chose lines of curved activations.
    pub curves: f64,
    /// Multiply-adds of the steps of attacks.
    pub climbed: u64,
    /// Classes that it found, and that were asked for.
    pub classes: [usize; 2],
    /// Time of its kernels; none where it has no clock.
    pub kernels: Option<Profile>,
    /// Radii, and answers of the simplex certificate, that it found, and of them those that are too coarse:
    /// the cores find them.
    pub answers: [u64; 2],
}

/// A device at work on chunks of samples, in a thread of its own.
#[derive(Debug)]
pub struct Ahead {
    shared: Arc<Shared>,
    asked: Asked,
    searching: Option<Searching>,
    cpu: SharedStage,
    backend: String,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By index.
    classes: HashMap<usize, Predicted>,
    /// By index; without an answer where the device has none.
    answers: HashMap<usize, Option<Answered>>,
    /// What was done, where it is profiled.
    profiled: Option<Profiled>,
    /// No more will come.
    ended: bool,
    /// Nobody waits any more.
    stopped: bool,
}

/// The device's answer about a sample.
#[derive(Clone, Debug)]
struct Answered {
    /// The class that it is about.
    class: usize,
    found: Option<Bound>,
    /// The best points that attacks came to.
    peaks: Vec<(Attack, Peak)>,
    /// Its share of the time that its chunk took, less the searches where they answer apart.
    seconds: f64,
    /// Its share of the searches then, if it was searched for.
    searched: Option<f64>,
}

#[derive(Clone, Debug)]
enum Bound {
    Margins(Bounds),
    Radius(f64),
    /// The decision stands nearer than this.
    Clear(f32),
    /// Rounding may have taken too much of the radius: the cores search as if nothing were known.
    Coarse,
}

impl Bound {
    /// Whether it proves the ball of this radius without a search.
    fn proves(&self, epsilon: f64) -> bool {
        match self {
            Bound::Margins(bounds) => verdict(&bounds.crown) == Verdict::Certified,
            Bound::Clear(radius) => epsilon < f64::from(*radius),
            Bound::Radius(_) | Bound::Coarse => false,
        }
    }
}

impl Answered {
    /// Whether nothing is left to the cores.
    fn is_whole(&self) -> bool {
        !matches!(self.found, Some(Bound::Coarse))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ahead {
    /// Sets the device to work.
    pub fn begin(job: Job) -> Self {
        Self::search(job, None)
    }

    /// The same, with slopes searched for.
    pub fn search(job: Job, searching: Option<Searching>) -> Self {
        let (name, options) = job.method;
        let shared = Arc::new(Shared::default());
        let (asked, backend) = (job.asked, format!("{PREFIX}{}", job.device.about.name));
        let cpu: SharedStage = match name {
            SIMPLEX => Arc::new(Simplex { semantics: options.semantics }),
            _ => propagation(name, options),
        };
        let mine = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            // However it ends, those who wait are told.
            let _end = End(&mine);
            if job.profiled {
                job.device.begin_profile();
            }
            let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mine, searching)));
            if let Some(kernels) = job.device.end_profile() {
                let kernels = job.device.has_clock().then_some(kernels);
                mine.lock().profiled.get_or_insert_default().kernels = kernels;
            }
            // A panic has been told where it happened.
            let ran = ran.unwrap_or_else(|_| Err(Stop("it panicked".to_owned())));
            if let Err(Stop(why)) = ran {
                (job.notice)(&format!("GPU: {why}; the CPU does the rest"));
            }
        });
        Self { shared, asked, searching, cpu, backend, thread: Some(thread) }
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.backend.strip_prefix(PREFIX).unwrap_or(&self.backend)
    }

    /// Stops the device, and gives what it did, if that was asked for.
    pub fn end(&self) -> Option<Profiled> {
        let mut state = self.shared.lock();
        state.stopped = true;
        while !state.ended {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.profiled.clone()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        if let Some(thread) = self.thread.take() {
            // A panic of its notice, if any, has been told where it happened.
            let _ = thread.join();
        }
    }
}

struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

/// Whether there are margins that are proved.
fn proves(bounds: Option<Bounds>) -> bool {
    bounds.is_some_and(|bounds| verdict(&bounds.best()) == Verdict::Certified)
}

/// Why the device stops.
struct Stop(String);

impl From<Unfit> for Stop {
    fn from(unfit: Unfit) -> Self {
        Stop(unfit.to_string())
    }
}

/// A sample of a chunk.
struct Asking<'a> {
    index: usize,
    x: &'a [f32],
    class: usize,
}

impl Job {
    fn run(&self, shared: &Shared, searching: Option<Searching>) -> Result<(), Stop> {
        let Ok(model) = Model::from_words(&self.words) else {
            return Err(Stop("the model is no blob".to_owned()));
        };
        let software = self.device.about.kind == "software";
        let most = if software { SMALL_CHUNK } else { CHUNK };
        let settings = searching.map(|searching| searching.settings);
        let mut crown = Some(self.crown(&model, self.todo.len().min(most), settings)?);
        for chunk in self.todo.chunks(most) {
            if shared.lock().stopped {
                return Ok(());
            }
            let asked = self.classify(&mut crown, &model, chunk, shared)?;
            let begun = Instant::now();
            let mut answers = self.persist(&mut crown, &model, chunk.len(), shared, |crown| {
                self.answers(crown, &asked, shared)
            })?;
            let peaks = self.persist(&mut crown, &model, chunk.len(), shared, |crown| {
                self.peaks(crown, &asked, &answers, shared)
            });
            // Bounds that were found are kept where an attack or a search fails.
            let (peaks, mut stop) = match peaks {
                Ok(peaks) => (peaks, None),
                Err(stop) => (asked.iter().map(|_| Vec::new()).collect(), Some(stop)),
            };
            let before = begun.elapsed().as_secs_f64();
            let mut slopes = Vec::new();
            if stop.is_none() {
                let found = self.persist(&mut crown, &model, chunk.len(), shared, |crown| {
                    self.slopes(crown, &asked, &answers, &peaks, shared)
                });
                match found {
                    Ok(found) => slopes = found,
                    Err(why) => stop = Some(why),
                }
            }
            let spent = begun.elapsed().as_secs_f64() - before;
            let apart = searching.is_some_and(|searching| searching.apart);
            let of = slopes.len().max(1) as f64;
            let seconds = before + if apart { 0.0 } else { spent };
            let seconds = seconds / asked.len().max(1) as f64;
            let mut searched = vec![None; asked.len()];
            for (i, found) in slopes {
                if let Some(Bound::Margins(bounds)) = &mut answers[i] {
                    bounds.slopes = Some(found);
                    searched[i] = apart.then_some(spent / of);
                }
            }
            let mut state = shared.lock();
            state.answers.extend(chunk.iter().map(|index| (*index, None)));
            let all = asked.iter().zip(answers.into_iter().zip(peaks)).zip(searched);
            state.answers.extend(all.map(|((asking, (found, peaks)), searched)| {
                let (class, any) = (asking.class, found.is_some() || !peaks.is_empty());
                (asking.index, any.then_some(Answered { class, found, peaks, seconds, searched }))
            }));
            shared.changed.notify_all();
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// What `ask` gets of a device, with fewer samples at a time while it fails.
    fn persist<'d, T>(
        &'d self,
        crown: &mut Option<Crown<'d>>,
        model: &Model<'_>,
        samples: usize,
        shared: &Shared,
        ask: impl Fn(&mut Crown<'d>) -> Result<T, Fault>,
    ) -> Result<T, Stop> {
        loop {
            // Without one, the last was given up and the next did not come.
            let now = crown.as_mut().ok_or_else(|| Stop("out of memory".to_owned()))?;
            let samples = now.capacity().samples.min(samples);
            let asked = ask(now);
            self.count(now, shared);
            match asked {
                Ok(found) => return Ok(found),
                // Out of memory, most of the time.
                Err(fault) if samples > 1 && !self.device.is_lost() => {
                    let fewer = samples.div_ceil(8);
                    (self.notice)(&format!("GPU: {fault}; trying {fewer} samples at a time"));
                    let settings = now.settings();
                    *crown = None;
                    *crown = Some(self.crown(model, fewer, settings)?);
                }
                Err(fault) => return Err(Stop(fault.to_string())),
            }
        }
    }

    /// Adds up what is counted, where it is asked for.
    fn count(&self, crown: &Crown<'_>, shared: &Shared) {
        if self.profiled {
            let mut state = shared.lock();
            let done = state.profiled.get_or_insert_default();
            done.macs += crown.take_macs();
            done.curves += crown.take_curves();
            done.climbed += crown.take_climbed();
        }
    }

    fn crown<'d>(
        &'d self,
        model: &Model<'_>,
        samples: usize,
        settings: Option<Settings>,
    ) -> Result<Crown<'d>, Unfit> {
        let about = &self.device.about;
        // Of other memory a driver does not tell how much there is.
        let total = match about.kind {
            "discrete" => 8 << 30,
            "software" => 1 << 29,
            _ => 2 << 30,
        };
        if self.method.0 == SIMPLEX && !Faces::knows(model) {
            return Err(Unfit::Faces);
        }
        let crown = Crown::new(&self.device, model, self.norm, self.method.1, |shape| {
            Capacity::new(shape, model.inputs(), about.binding, total, samples)
        })?;
        match (self.asked, settings) {
            (Asked::Attack(_), _) if crown.shape().has_curves() => Err(Unfit::Activation),
            (_, Some(settings)) => crown.searching(settings),
            _ => Ok(crown),
        }
    }

    fn answers(
        &self,
        crown: &mut Crown<'_>,
        asked: &[Asking<'_>],
        shared: &Shared,
    ) -> Result<Vec<Option<Bound>>, Fault> {
        match self.asked {
            _ if self.method.0 == SIMPLEX => self.clear(crown, asked, shared),
            Asked::Ball(epsilon) => {
                let of: Vec<_> = asked.iter().map(|asking| (asking, epsilon)).collect();
                // Attacks come before a search.
                let bounds = self.bounds(crown, &of, false)?;
                Ok(bounds.into_iter().map(|bounds| bounds.map(Bound::Margins)).collect())
            }
            Asked::Radius(search) => self.radii(crown, asked, &search, shared),
            Asked::Attack(_) => Ok(asked.iter().map(|_| None).collect()),
        }
    }

    /// How far each decision stands; coarse, where the cores may find a radius that is larger by
    /// [`SHARE`], or as large as is asked for.
    fn clear(
        &self,
        crown: &Crown<'_>,
        asked: &[Asking<'_>],
        shared: &Shared,
    ) -> Result<Vec<Option<Bound>>, Fault> {
        let of: Vec<_> = asked.iter().map(|asking| (asking, 0.0)).collect();
        let enough = match self.asked {
            Asked::Ball(epsilon) => (epsilon as f32).next_up().next_up(),
            _ => f32::INFINITY,
        };
        let found = Faces::new(crown).find(&self.samples(&of, &None), enough)?;
        let bound = |Clear { radius, most }| {
            let reached = match self.asked {
                Asked::Ball(epsilon) => epsilon < f64::from(radius) || most <= epsilon,
                _ => most <= f64::from(radius) * (1.0 + SHARE),
            };
            if reached { Bound::Clear(radius) } else { Bound::Coarse }
        };
        let found: Vec<_> = found.into_iter().map(|clear| clear.map(bound)).collect();
        self.tell(&found, shared);
        Ok(found)
    }

    /// All searches in step: each round asks about one radius of each sample that is not done. Then
    /// what they found is asked about with a larger budget, to tell what rounding took of it.
    fn radii(
        &self,
        crown: &mut Crown<'_>,
        asked: &[Asking<'_>],
        search: &Search,
        shared: &Shared,
    ) -> Result<Vec<Option<Bound>>, Fault> {
        let mut searches: Vec<Option<Steps>> = asked.iter().map(|_| Some(search.begin())).collect();
        loop {
            let open = |search: &Option<Steps>| search.as_ref().and_then(Steps::next);
            let trying: Vec<(usize, f64)> = searches
                .iter()
                .enumerate()
                .filter_map(|(i, search)| Some((i, open(search)?)))
                .collect();
            if trying.is_empty() {
                break;
            }
            if shared.lock().stopped {
                // Half a search is no answer.
                return Ok(asked.iter().map(|_| None).collect());
            }
            let of: Vec<_> = trying.iter().map(|(i, epsilon)| (&asked[*i], *epsilon)).collect();
            for ((i, _), bounds) in trying.iter().zip(self.bounds(crown, &of, true)?) {
                match (bounds, &mut searches[*i]) {
                    (Some(bounds), Some(search)) => {
                        search.answer(proves(Some(bounds)));
                    }
                    // Refused at a radius: the CPU may know what to do there.
                    (_, slot) => *slot = None,
                }
            }
        }
        let found: Vec<Option<f64>> =
            searches.into_iter().map(|search| Some(search?.found().radius)).collect();
        let whole = |(asking, radius): (_, &Option<f64>)| {
            radius.filter(|radius| *radius > 0.0).map(|radius| (asking, (1.0 - SHARE) * radius))
        };
        let of: Vec<_> = asked.iter().zip(&found).filter_map(whole).collect();
        crown.charge(TIMES);
        let margins = self.bounds(crown, &of, true);
        crown.charge(1);
        let mut margins = margins?.into_iter();
        let mut bound = |radius: f64| match radius > 0.0 && proves(margins.next().flatten()) {
            true => Bound::Radius(radius),
            false => Bound::Coarse,
        };
        let found: Vec<_> = found.into_iter().map(|radius| radius.map(&mut bound)).collect();
        self.tell(&found, shared);
        Ok(found)
    }

    /// Counts answers, and of them those that are left to the cores.
    fn tell(&self, found: &[Option<Bound>], shared: &Shared) {
        if self.profiled {
            let coarse = |found: &&Option<Bound>| matches!(found, Some(Bound::Coarse));
            let counts = [found.iter().flatten().count(), found.iter().filter(coarse).count()];
            let mut state = shared.lock();
            let sums = &mut state.profiled.get_or_insert_default().answers;
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count as u64);
        }
    }

    /// Bounds of the margins over balls, CROWN's or also those of a search; none where a ball is refused.
    fn bounds(
        &self,
        crown: &Crown<'_>,
        of: &[(&Asking<'_>, f64)],
        search: bool,
    ) -> Result<Vec<Option<Bounds>>, Fault> {
        let ends = self.clip.map(|(lo, hi)| {
            let n = of.first().map_or(0, |(asking, _)| asking.x.len());
            (vec![lo; n], vec![hi; n])
        });
        let samples = self.samples(of, &ends);
        let bounds = if search { crown.bounds(&samples) } else { crown.plain(&samples) };
        Ok(bounds?.into_iter().map(Result::ok).collect())
    }

    /// Balls around samples, in the box of these ends.
    fn samples<'a>(
        &self,
        of: &[(&Asking<'a>, f64)],
        ends: &'a Option<(Vec<f32>, Vec<f32>)>,
    ) -> Vec<Sample<'a>> {
        let (norm, each) = (self.norm, of.iter());
        each.map(|(asking, epsilon)| {
            let x = asking.x;
            let region = match ends {
                Some((lo, hi)) => Region::ball_in_box(x, *epsilon, norm, lo, hi),
                None => Region::ball(x, *epsilon, norm),
            };
            Sample { region, class: asking.class }
        })
        .collect()
    }
}
