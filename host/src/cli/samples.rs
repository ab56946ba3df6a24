//! A run over samples: the same frame for `certify`, `radius` and `attack`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use certus_engine::bounds::Work;
use certus_engine::region::Norm;

use super::inputs::{DataArgs, check_output, checked, read_blob};
use super::message::say;
use super::numbers::{LARGEST_END, down, parse_norm, up};
use super::on_device::Run;
use super::options::{Ask, ComputeArgs, FormatArg, OutArgs, Plan};
use super::stream::Stream;
use super::{Outcome, gpu, verbose};
use crate::attack::{Attack, Worker};
use crate::blob;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::geometry::{DecisionBoundary, Norms};
use crate::offline::lp::Solved;
use crate::plan::{LocalBoundary, SharedStage, Tally};
use crate::question::{Answer, Question};
use crate::radius::Search;
use crate::report::{Heading, Plot, Record, Sink, Verdict, csv, jsonl, stages, table};
use crate::run::{Batch, Format, Progress, Range, Shard, select};

/// Rows of a table that are listed one by one.
const TABLE_ROWS: usize = 20;

/// What is common to runs over samples.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Read the network from this .onnx, .nnet, .npz or .certus file
    pub model: PathBuf,
    /// Measure distances in this norm: linf, l2, l1, or lP for a number P of at least 1 (l1.5, l3)
    #[arg(long, value_parser = parse_norm, default_value = "linf", allow_hyphen_values = true,
        help_heading = "Question")]
    pub norm: Norm,
    /// Count only inputs with every coordinate from LO to HI
    #[arg(long, num_args = 2, value_names = ["LO", "HI"], allow_hyphen_values = true,
        help_heading = "Question")]
    pub clip: Option<Vec<f64>>,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub out: OutArgs,
    /// Draw accuracy by radius, or margins, as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Say on standard error what work was done
    #[arg(long)]
    pub verbose: bool,
    /// With --backend gpu, say on standard error how long each kernel took and how many multiply-adds
    /// the GPU did, which --verbose does not count; counting costs some time
    #[arg(long)]
    pub profile: bool,
    /// Take part i of n of the rows, for several machines (put together by certus merge)
    #[arg(long, value_name = "i/n", allow_hyphen_values = true, help_heading = "Long runs")]
    pub shard: Option<String>,
    /// Go on with the run that wrote --out and was stopped
    #[arg(long, requires = "out", help_heading = "Long runs")]
    pub resume: bool,
}

impl RunArgs {
    /// What a method's plan is for, here.
    pub fn ask(&self, ask: Ask) -> Ask {
        if self.compute.is_portable() { Ask::Device } else { ask }
    }

    /// Refuses `--profile`, where no GPU computes.
    ///
    /// # Errors
    /// Where it is asked for.
    pub fn without_profile(&self) -> Result<()> {
        if self.profile {
            let message = "--profile: expected --backend gpu, whose kernels it times";
            return Err(Error::Usage(message.to_owned()));
        }
        Ok(())
    }
}

/// Everything read and checked, before the first sample.
pub struct Setup<'a> {
    /// The command line.
    pub args: &'a RunArgs,
    words: Arc<Vec<u32>>,
    set: Arc<Dataset>,
    /// How it is answered.
    pub plan: Plan,
    /// The question put to each sample; norms of the model's weights come when it is run.
    pub question: Question,
    indices: Vec<usize>,
    /// The first row of the range.
    pub first: usize,
    /// Rows of the range, all parts together.
    pub instances: usize,
    /// The part of it that is run.
    pub shard: Option<Shard>,
}

impl<'a> Setup<'a> {
    /// Reads the model and the data.
    ///
    /// # Errors
    /// Bad input, before anything is written.
    pub fn new(args: &'a RunArgs, plan: Plan) -> Result<Self> {
        check_outputs(args)?;
        gpu::check(args, plan.on_device, plan.is_attack())?;
        let words = read_blob(&args.model, |network| args.data.normalise(network))?;
        let model = checked(&words);
        for stage in &plan.stages {
            stage.check(&model, args.norm)?;
        }
        if model.outputs() < 2 {
            let message = "1 output, expected a classifier with at least 2 (see certus bounds)";
            return Err(Error::input(&args.model, "output", message));
        }
        let set = args.data.read(model.inputs(), model.outputs())?;
        let rows = args.data.range.parse::<Range>()?.of(set.rows)?;
        let shard = args.shard.as_deref().map(str::parse).transpose()?;
        let clip = args.clip.as_ref().map(|ends| (ends[0], ends[1]));
        if let Some((lo, hi)) = clip {
            check_clip(&set, rows.clone(), &args.data.data, lo, hi)?;
        }
        // Rounded outward, the box holds all that was asked for; a witness shall lie within that.
        let inner = clip.map(|(lo, hi)| (up(lo), down(hi)));
        let clip = clip.map(|(lo, hi)| (down(lo), up(hi)));
        let mut stages = plan.stages.clone();
        if plan.local_boundary {
            let network = blob::unpack(&model);
            let certificate = args.compute.pool()?.install(|| DecisionBoundary::new(network))?;
            stages.push(Arc::new(LocalBoundary { certificate }));
        }
        let question = Question {
            clip,
            inner,
            semantics: plan.semantics,
            backend: args.compute.backend_name(),
            ..Question::new(args.norm, stages)
        };
        let (first, instances) = (rows.start, rows.len());
        let indices = select(rows, shard);
        let (words, set) = (Arc::new(words), Arc::new(set));
        Ok(Self { args, words, set, plan, question, indices, first, instances, shard })
    }

    /// Answers every sample on all cores and reports.
    ///
    /// `what` is the subcommand, `epsilon` its radius if it has one, `search` how it looks for the
    /// largest if it does, `options` what else changes a result. `answer` answers one.
    ///
    /// # Errors
    /// What cannot be written; finished samples are in `--out` by then.
    pub fn run(
        &self,
        what: &str,
        epsilon: Option<f64>,
        search: Option<&Search>,
        options: &[(&str, String)],
        answer: impl Fn(&Question, &mut Worker<'_>, usize, &[f32], Option<usize>) -> Answer + Sync,
    ) -> Result<Outcome> {
        let args = self.args;
        let begun = Instant::now();
        let format = match args.out.format {
            FormatArg::Table => Format::Table,
            FormatArg::Jsonl => Format::Jsonl,
            FormatArg::Csv => Format::Csv,
        };
        let batch = match &args.out.out {
            Some(out) => {
                let manifest = self.manifest(what, options)?;
                Some(Batch::begin(out, format, &manifest, args.resume)?)
            }
            None => None,
        };
        let todo = batch.as_ref().map_or(&self.indices[..], |batch| batch.todo()).to_vec();
        let resumed = batch.as_ref().map_or(0, Batch::resumed);
        let stream = Stream::begin(format, &todo, batch.is_none())?;
        // On one terminal, the bar would stand between the lines.
        let progress = if stream.is_live() && std::io::stdout().is_terminal() {
            Progress::hidden()
        } else {
            Progress::new(resumed + todo.len(), resumed)
        };
        let stream = Mutex::new(stream);
        let work = Mutex::new(Work::default());
        let solved = Mutex::new(Solved::default());
        let refused = Mutex::new(BTreeMap::new());
        let stop = AtomicBool::new(false);
        let pool = args.compute.pool()?;
        let threads = pool.current_num_threads();
        let model = checked(&self.words);
        let simplex = self.question.stages.iter().any(|stage| stage.uses_norms());
        // A device has no norms from before.
        let on_device = self.on_device(&todo, epsilon, search)?;
        let stages = match &on_device {
            Some(device) => device.stages(&self.question.stages),
            None => self.question.stages.clone(),
        };
        let tallies = Mutex::new(vec![Tally::default(); stages.len()]);
        let norms = simplex && !args.compute.is_portable() && !todo.is_empty();
        let question = Question {
            norms: norms.then(|| pool.install(|| Norms::new(&model, self.question.norm))),
            stages,
            ..self.question.clone()
        };
        let one = |worker: &mut Worker<'_>, index: usize| -> Result<()> {
            let (x, label) = (self.set.row(index), self.set.label(index));
            let answer = answer(&question, worker, index, x, label);
            *lock(&work) += answer.work;
            *lock(&solved) += answer.solved;
            for (sum, tally) in lock(&tallies).iter_mut().zip(&answer.stages) {
                *sum += *tally;
            }
            let refused_by = answer.refused.map(|error| error.to_string());
            let why = refused_by.or(answer.solved.trouble.map(|trouble| trouble.to_string()));
            if let (Some(why), Verdict::Unknown) = (why, answer.record.verdict) {
                lock(&refused).insert(index, why);
            }
            if let Some(batch) = &batch {
                batch.append(&answer.record)?;
            } else {
                let mut stream = lock(&stream);
                stream.put(answer.record)?;
                stop.fetch_or(stream.closed(), Ordering::Relaxed);
            }
            progress.tick();
            Ok(())
        };
        // Each thread takes the next row: results come nearly in order, and a thread's memory is
        // made once.
        let next = AtomicUsize::new(0);
        let done: Result<()> = pool
            .broadcast(|_| {
                let mut worker = None;
                while !stop.load(Ordering::Relaxed) {
                    let Some(&index) = todo.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let worker = worker.get_or_insert_with(|| {
                        // With fewer rows than threads, the threads share the work of a row.
                        let mut worker = if args.compute.is_portable() {
                            Worker::device(model)
                        } else {
                            Worker::new(model, todo.len() < threads)
                        };
                        worker.progress = progress.clone();
                        worker
                    });
                    if let Err(error) = one(worker, index) {
                        stop.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
                Ok(())
            })
            .into_iter()
            .collect();
        progress.finish();
        let seconds = begun.elapsed().as_secs_f64();
        let heading = self.heading(what, epsilon);
        done?;
        let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lines = lines(&question.stages, &tallies);
        let write = |records: &[Record], out: &mut dyn std::io::Write| {
            write(format, records, &heading.clone().on(records), out)?;
            // Of the samples that this run answered: what --resume took over has no stages.
            if format == Format::Table && lines.len() > 1 {
                stages::write(&lines, out)
            } else {
                Ok(())
            }
        };
        let stream = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (live, closed) = (stream.is_live(), stream.closed());
        let records = match batch {
            Some(batch) => batch.finish(write)?,
            None => stream.finish()?,
        };
        if args.out.out.is_none() && !live {
            let mut sink = Sink::stdout();
            sink.write(|out| write(&records, out))?;
            sink.finish()?;
        }
        if let Some(path) = args.plot.as_deref().filter(|_| !closed) {
            Plot::of(&records, &heading.on(&records)).write(path)?;
        }
        let refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((index, why)) = refused.first_key_value() {
            let others = match refused.len() - 1 {
                0 => String::new(),
                n => format!(" (and so for {n} more)"),
            };
            say(format_args!("row {index} is unknown: {why}{others}"));
        }
        let solved = *lock(&solved);
        if let Some(trouble) = solved.trouble {
            let Solved { programs, troubled, .. } = solved;
            let what = "programs ended without an optimum, which may cost bounds";
            say(format_args!("{troubled} of {programs} {what}; of the last, {trouble}"));
        }
        if args.verbose {
            verbose::print(&lock(&work), &solved, todo.len(), threads, seconds);
            if format != Format::Table && lines.len() > 1 {
                verbose::stages(&lines);
            }
        }
        if let Some(gpu) = on_device {
            gpu.end();
        }
        Ok(outcome(&records))
    }
}

impl Setup<'_> {
    /// A GPU at work on the first stage, where that is asked for and there is one.
    fn on_device(
        &self,
        todo: &[usize],
        epsilon: Option<f64>,
        search: Option<&Search>,
    ) -> Result<Option<gpu::Started>> {
        let Self { args, words, set, plan, question, .. } = self;
        let (clip, attack) = (question.clip, plan.is_attack());
        let Some(method) = gpu::check(args, plan.on_device, attack)? else { return Ok(None) };
        let attacks = plan.attacks.iter();
        let attacks = attacks.map(|attack| Attack { clip: question.inner, ..*attack }).collect();
        let run = Run { args, method, attacks, words, set, todo, clip, epsilon, search, attack };
        Ok(if todo.is_empty() { None } else { gpu::begin(run) })
    }

    /// The shape of a sample.
    pub fn shape(&self) -> &[usize] {
        &self.set.shape
    }
}

/// Every output must be a file of its own that can be written.
fn check_outputs(args: &RunArgs) -> Result<()> {
    let (model, data) = (Some(args.model.as_path()), Some(args.data.data.as_path()));
    let inputs = [("MODEL", model), ("--data", data), ("--labels", args.data.labels.as_deref())];
    if let Some(out) = &args.out.out {
        check_output("--out", out, &inputs)?;
    }
    if let Some(plot) = &args.plot {
        let [model, data, labels] = inputs;
        let out = ("--out", args.out.out.as_deref());
        check_output("--plot", plot, &[model, data, labels, out])?;
    }
    Ok(())
}

/// The value of a lock whose holders do not panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every sample must lie in the box, or the question is another than the data asks.
fn check_clip(
    set: &Dataset,
    rows: std::ops::Range<usize>,
    file: &Path,
    lo: f64,
    hi: f64,
) -> Result<()> {
    if !(lo < hi && up(lo.abs().max(hi.abs())) < LARGEST_END) {
        return Err(Error::Usage(format!("--clip {lo} {hi}, expected finite LO below HI")));
    }
    let inside = down(lo)..=up(hi);
    for row in rows {
        if let Some(column) = set.row(row).iter().position(|x| !inside.contains(x)) {
            let message = format!("{}, expected within --clip {lo} {hi}", set.row(row)[column]);
            return Err(Error::input(file, format!("row {row}, column {column}"), message));
        }
    }
    Ok(())
}

fn write(
    format: Format,
    records: &[Record],
    heading: &Heading,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    match format {
        Format::Table => table::write(records, heading, TABLE_ROWS, out),
        Format::Csv => csv::write(records, out),
        Format::Jsonl => records.iter().try_for_each(|record| jsonl::write(record, out)),
    }
}

/// Falsified and misclassified count the same: the property is false at a concrete input.
pub fn outcome(records: &[Record]) -> Outcome {
    let any = |verdict| records.iter().any(|record| record.verdict == verdict);
    if any(Verdict::Falsified) || any(Verdict::Misclassified) {
        Outcome::Falsified
    } else if any(Verdict::Unknown) {
        Outcome::Unknown
    } else {
        Outcome::Proved
    }
}

/// What each stage did in a run.
fn lines(stages: &[SharedStage], tallies: &[Tally]) -> Vec<stages::Line> {
    let later = |k: usize, name: &str| stages[k + 1..].iter().any(|stage| stage.name() == name);
    let line = |(k, (stage, tally)): (usize, (&SharedStage, &Tally))| {
        let name = stage.name();
        stages::Line {
            // What comes twice is a GPU's first, then the cores'.
            name: if later(k, name) { format!("{name} (gpu)") } else { name.to_owned() },
            asked: tally.tried,
            certified: tally.certified,
            falsified: tally.falsified,
            seconds: tally.seconds,
        }
    };
    stages.iter().zip(tallies).enumerate().map(line).collect()
}
