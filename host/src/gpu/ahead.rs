//! A GPU that answers chunks of samples ahead of the threads that ask: a stage of a plan.

mod around;

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
use super::crown::{Crown, Margins, Sample};
use super::device::{Device, Fault, Profile};
use super::memory::Capacity;
use super::net::Unfit;
use crate::attack::{Attack, Worker};
use crate::dataset::Dataset;
use crate::plan::{Ball, Candidate, Done, Known, Predicted, Propagation, Stage};
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
    /// The method's name and options.
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

/// What a device did.
#[derive(Clone, Debug, Default)]
pub struct Profiled {
    /// Multiply-adds of products.
    pub macs: u64,
    /// Multiply-adds of the steps of attacks.
    pub climbed: u64,
    /// Classes that it found, and that were asked for.
    pub classes: [usize; 2],
    /// Time of its kernels; none where it has no clock.
    pub kernels: Option<Profile>,
}

/// A device at work on chunks of samples, in a thread of its own.
#[derive(Debug)]
pub struct Ahead {
    shared: Arc<Shared>,
    asked: Asked,
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
    /// Its share of the time that its chunk took.
    seconds: f64,
}

#[derive(Clone, Debug)]
enum Bound {
    Margins(Vec<f32>),
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
            let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mine)));
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
        Self { shared, asked, cpu, backend, thread: Some(thread) }
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
        let answer = state.answers.get(&index)?.as_ref()?;
        answer.found.as_ref().map(|_| answer.seconds)
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
        if let Asked::Ball(epsilon) = self.asked
            && epsilon == ball.epsilon
            && let Some(Bound::Margins(margins)) = self.answer(ball)
        {
            known.raise(&margins);
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
    fn run(&self, shared: &Shared) -> Result<(), Stop> {
        let Ok(model) = Model::from_words(&self.words) else {
            return Err(Stop("the model is no blob".to_owned()));
        };
        let software = self.device.about.kind == "software";
        let most = if software { SMALL_CHUNK } else { CHUNK };
        let mut crown = Some(self.crown(&model, self.todo.len().min(most))?);
        for chunk in self.todo.chunks(most) {
            if shared.lock().stopped {
                return Ok(());
            }
            let asked = self.classify(&mut crown, &model, chunk, shared)?;
            let begun = Instant::now();
            let answers = self.persist(&mut crown, &model, chunk.len(), shared, |crown| {
                self.answers(crown, &asked, shared)
            })?;
            let peaks = self.persist(&mut crown, &model, chunk.len(), shared, |crown| {
                self.peaks(crown, &asked, &answers, shared)
            });
            // Bounds that were found are kept where an attack fails.
            let (peaks, stop) = match peaks {
                Ok(peaks) => (peaks, None),
                Err(stop) => (asked.iter().map(|_| Vec::new()).collect(), Some(stop)),
            };
            let seconds = begun.elapsed().as_secs_f64() / asked.len().max(1) as f64;
            let mut state = shared.lock();
            state.answers.extend(chunk.iter().map(|index| (*index, None)));
            let all = asked.iter().zip(answers.into_iter().zip(peaks));
            state.answers.extend(all.map(|(asking, (found, peaks))| {
                let (class, any) = (asking.class, found.is_some() || !peaks.is_empty());
                (asking.index, any.then_some(Answered { class, found, peaks, seconds }))
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
        ask: impl Fn(&Crown<'d>) -> Result<T, Fault>,
    ) -> Result<T, Stop> {
        loop {
            // Without one, the last was given up and the next did not come.
            let now = crown.as_ref().ok_or_else(|| Stop("out of memory".to_owned()))?;
            let samples = now.capacity().samples.min(samples);
            let asked = ask(now);
            self.count(now, shared);
            match asked {
                Ok(found) => return Ok(found),
                // Out of memory, most of the time.
                Err(fault) if samples > 1 && !self.device.is_lost() => {
                    let fewer = samples.div_ceil(8);
                    (self.notice)(&format!("GPU: {fault}; trying {fewer} samples at a time"));
                    *crown = None;
                    *crown = Some(self.crown(model, fewer)?);
                }
                Err(fault) => return Err(Stop(fault.to_string())),
            }
        }
    }

    /// Adds up the multiply-adds, where they are counted.
    fn count(&self, crown: &Crown<'_>, shared: &Shared) {
        if self.profiled {
            let mut state = shared.lock();
            let profiled = state.profiled.get_or_insert_default();
            profiled.macs += crown.take_macs();
            profiled.climbed += crown.take_climbed();
        }
    }

    fn crown<'d>(&'d self, model: &Model<'_>, samples: usize) -> Result<Crown<'d>, Unfit> {
        let about = &self.device.about;
        // Of other memory a driver does not tell how much there is.
        let total = match about.kind {
            "discrete" => 8 << 30,
            "software" => 1 << 29,
            _ => 2 << 30,
        };
        Crown::new(&self.device, model, self.norm, self.method.1, |shape| {
            Capacity::new(shape, model.inputs(), about.binding, total, samples)
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
                let margins = self.margins(crown, &of)?;
                Ok(margins.into_iter().map(|m| m.ok().map(Bound::Margins)).collect())
            }
            Asked::Radius(search) => self.radii(crown, asked, &search, shared),
            Asked::Attack(_) => Ok(asked.iter().map(|_| None).collect()),
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
            for ((i, _), margins) in trying.iter().zip(self.margins(crown, &of)?) {
                match (margins, &mut searches[*i]) {
                    (Ok(margins), Some(search)) => {
                        search.answer(verdict(&margins) == Verdict::Certified);
                    }
                    // Refused at a radius: the CPU may know what to do there.
                    (_, slot) => *slot = None,
                }
            }
        }
        let found = |search: Option<Steps>| Some(Bound::Radius(search?.found().radius));
        Ok(searches.into_iter().map(found).collect())
    }

    fn margins(&self, crown: &Crown<'_>, of: &[(&Asking<'_>, f64)]) -> Result<Vec<Margins>, Fault> {
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
        crown.margins(&samples)
    }
}
