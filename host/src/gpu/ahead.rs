//! A GPU that answers chunks of samples ahead of the threads that ask: a stage of a plan.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use certus_engine::bounds::Options;
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};

use super::crown::{Crown, Sample};
use super::device::{Device, Fault, Profile};
use super::memory::Capacity;
use super::net::Unfit;
use super::slopes::Bounds;
use crate::alpha::Settings;
use crate::attack::Worker;
use crate::cpu::Runner;
use crate::dataset::Dataset;
use crate::plan::{Ball, Done, Known, Propagation, Stage};
use crate::question::Answer;
use crate::radius::{Search, Steps};

/// Most samples that are answered together: enough to keep a device busy, few enough to begin soon.
const CHUNK: usize = 1024;

/// The same on a software driver.
const SMALL_CHUNK: usize = 16;

/// What a backend's name begins with.
const PREFIX: &str = "gpu ";

/// What is asked of every sample.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// One radius.
    Ball(f64),
    /// The largest radius.
    Radius(Search),
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
    /// The method's name and options.
    pub method: (&'static str, Options),
    /// The balls' norm.
    pub norm: Norm,
    /// The box that cuts them.
    pub clip: Option<(f32, f32)>,
    /// What is asked.
    pub asked: Asked,
    /// Whether its kernels are timed and its multiply-adds counted.
    pub profiled: bool,
    /// Called with what the user should know: why the device stops.
    pub notice: Box<dyn Fn(&str) + Send + Sync>,
}

/// Slopes that a device searches for where CROWN leaves a sample open.
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
    /// Time of its kernels; none where it has no clock.
    pub kernels: Option<Profile>,
}

/// A device at work on chunks of samples, in a thread of its own.
#[derive(Debug)]
pub struct Ahead {
    shared: Arc<Shared>,
    asked: Asked,
    searching: Option<Searching>,
    cpu: Propagation,
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
    found: Bound,
    /// Its share of the time that its chunk took, less the searches where they answer apart.
    seconds: f64,
    /// Its share of the searches then, if it was searched for.
    searched: Option<f64>,
}

#[derive(Clone, Debug)]
enum Bound {
    Margins(Bounds),
    Radius(f64),
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
        let cpu = Propagation { name, options };
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

    /// The device's margins of a ball, CROWN's and those by slopes.
    pub(super) fn bounds(&self, ball: &Ball<'_>) -> Option<Bounds> {
        match self.asked {
            Asked::Ball(epsilon) if epsilon == ball.epsilon => {}
            _ => return None,
        }
        match self.answer(ball) {
            Some(Bound::Margins(bounds)) => Some(bounds),
            _ => None,
        }
    }

    /// The backend of the searches, and the seconds of that for a sample; none where there was none.
    pub(super) fn searched(&self, index: usize) -> Option<(&str, f64)> {
        let state = self.shared.lock();
        let seconds = state.answers.get(&index)?.as_ref()?.searched?;
        Some((&self.backend, seconds))
    }

    /// Waits for the device's answer about a sample.
    fn answer(&self, ball: &Ball<'_>) -> Option<Bound> {
        let mut state = self.shared.lock();
        loop {
            if let Some(answer) = state.answers.get(&ball.index) {
                let same = answer.as_ref().filter(|answer| answer.class == ball.class);
                return same.map(|answer| answer.found.clone());
            }
            if state.ended {
                return None;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
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

impl Stage for Ahead {
    fn name(&self) -> &'static str {
        self.cpu.name
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        if let Some(bounds) = self.bounds(ball) {
            let apart = self.searching.is_some_and(|searching| searching.apart);
            known.raise(&if apart { bounds.crown } else { bounds.best() });
            return Ok(Default::default());
        }
        self.cpu.settle(worker, ball, known)
    }

    fn backend(&self, index: usize) -> Option<&str> {
        let state = self.shared.lock();
        let answered = state.answers.get(&index).is_some_and(Option::is_some);
        answered.then_some(&*self.backend)
    }

    fn seconds(&self, index: usize) -> Option<f64> {
        let state = self.shared.lock();
        state.answers.get(&index)?.as_ref().map(|answer| answer.seconds)
    }

    fn radius(&self, _: &mut Worker<'_>, ball: &Ball<'_>, _: &mut Answer) -> Option<f64> {
        match self.answer(ball) {
            Some(Bound::Radius(radius)) => Some(radius),
            _ => None,
        }
    }
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
        let mut crown = self.crown(&model, self.todo.len().min(most), searching)?;
        for chunk in self.todo.chunks(most) {
            if shared.lock().stopped {
                return Ok(());
            }
            let begun = Instant::now();
            let asked = self.asking(model, chunk);
            let answers = loop {
                let samples = crown.capacity().samples.min(chunk.len());
                match self.answers(&crown, &asked, shared) {
                    Ok(answers) => break answers,
                    // Out of memory, most of the time.
                    Err(fault) if samples > 1 && !self.device.is_lost() => {
                        let fewer = samples.div_ceil(8);
                        (self.notice)(&format!("GPU: {fault}; trying {fewer} samples at a time"));
                        self.count(&crown, shared);
                        drop(crown);
                        crown = self.crown(&model, fewer, searching)?;
                    }
                    Err(fault) => return Err(Stop(fault.to_string())),
                }
            };
            self.count(&crown, shared);
            let mut seconds = begun.elapsed().as_secs_f64();
            let by_slopes = |found: &Option<Bound>| match found {
                Some(Bound::Margins(bounds)) => bounds.slopes.is_some(),
                _ => false,
            };
            let mut each = 0.0;
            let spent = crown.take_searching().as_secs_f64();
            if searching.is_some_and(|searching| searching.apart) {
                let of = answers.iter().filter(|found| by_slopes(found)).count();
                (seconds, each) = (seconds - spent, spent / of.max(1) as f64);
            }
            let seconds = seconds / asked.len().max(1) as f64;
            let mut state = shared.lock();
            state.answers.extend(chunk.iter().map(|index| (*index, None)));
            state.answers.extend(asked.iter().zip(answers).map(|(asking, found)| {
                let class = asking.class;
                let searched = by_slopes(&found).then_some(each);
                (asking.index, found.map(|found| Answered { class, found, seconds, searched }))
            }));
            shared.changed.notify_all();
        }
        Ok(())
    }

    /// Adds up the multiply-adds, where they are counted.
    fn count(&self, crown: &Crown<'_>, shared: &Shared) {
        if self.profiled {
            shared.lock().profiled.get_or_insert_default().macs += crown.take_macs();
        }
    }

    fn crown<'d>(
        &'d self,
        model: &Model<'_>,
        samples: usize,
        searching: Option<Searching>,
    ) -> Result<Crown<'d>, Unfit> {
        let about = &self.device.about;
        // Of other memory a driver does not tell how much there is.
        let total = match about.kind {
            "discrete" => 8 << 30,
            "software" => 1 << 29,
            _ => 2 << 30,
        };
        let crown = Crown::new(&self.device, model, self.norm, self.method.1, |shape| {
            Capacity::new(shape, model.inputs(), about.binding, total, samples)
        })?;
        match searching {
            Some(Searching { settings, .. }) => crown.searching(settings),
            None => Ok(crown),
        }
    }

    /// The samples that are classified as their labels say.
    ///
    /// In threads of its own: all of a pool may be waiting for what comes of it.
    fn asking(&self, model: Model<'_>, chunk: &[usize]) -> Vec<Asking<'_>> {
        let ask = |runner: &mut Runner<'_>, index: &usize| {
            let x = self.set.row(*index);
            let class = runner.predict(x)?;
            let right = self.set.label(*index).is_none_or(|label| label == class);
            right.then_some(Asking { index: *index, x, class })
        };
        let part = |part: &[usize]| {
            let mut runner = Runner::new(model, false);
            part.iter().filter_map(|i| ask(&mut runner, i)).collect::<Vec<_>>()
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let few = chunk.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = chunk.chunks(few).map(|of| scope.spawn(move || part(of))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
        })
    }

    fn answers(
        &self,
        crown: &Crown<'_>,
        asked: &[Asking<'_>],
        shared: &Shared,
    ) -> Result<Vec<Option<Bound>>, Fault> {
        match self.asked {
            Asked::Ball(epsilon) => {
                let of: Vec<_> = asked.iter().map(|asking| (asking, epsilon)).collect();
                let bounds = self.bounds(crown, &of)?;
                Ok(bounds.into_iter().map(|b| b.map(Bound::Margins)).collect())
            }
            Asked::Radius(search) => self.radii(crown, asked, &search, shared),
        }
    }

    /// All searches in step: each round asks about one radius of each sample that is not done.
    fn radii(
        &self,
        crown: &Crown<'_>,
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
            for ((i, _), bounds) in trying.iter().zip(self.bounds(crown, &of)?) {
                match (bounds, &mut searches[*i]) {
                    (Some(bounds), Some(search)) => {
                        search.answer(verdict(&bounds.best()) == Verdict::Certified);
                    }
                    // Refused at a radius: the CPU may know what to do there.
                    (_, slot) => *slot = None,
                }
            }
        }
        let found = |search: Option<Steps>| Some(Bound::Radius(search?.found().radius));
        Ok(searches.into_iter().map(found).collect())
    }

    /// Bounds of the margins over balls; none where a ball is refused.
    fn bounds(
        &self,
        crown: &Crown<'_>,
        of: &[(&Asking<'_>, f64)],
    ) -> Result<Vec<Option<Bounds>>, Fault> {
        let ends = self.clip.map(|(lo, hi)| {
            let n = of.first().map_or(0, |(asking, _)| asking.x.len());
            (vec![lo; n], vec![hi; n])
        });
        let samples: Vec<Sample<'_>> = of
            .iter()
            .map(|(asking, epsilon)| {
                let (x, norm) = (asking.x, self.norm);
                let region = match &ends {
                    Some((lo, hi)) => Region::ball_in_box(x, *epsilon, norm, lo, hi),
                    None => Region::ball(x, *epsilon, norm),
                };
                Sample { region, class: asking.class }
            })
            .collect();
        Ok(crown.bounds(&samples)?.into_iter().map(Result::ok).collect())
    }
}
