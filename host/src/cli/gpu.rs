//! `--backend gpu`: the first stage of a run over samples, answered by a GPU.

use std::sync::Arc;

use certus_engine::region::Norm;

use super::message::say;
use super::on_device::{OnDevice, Run};
use super::profile;
use super::samples::RunArgs;
use crate::error::Error;
use crate::gpu::{
    About, Adapters, Ahead, Asked, Cache, Fault, Job, Measured, Refusal, Searched, Searching,
};
use crate::plan::SharedStage;

/// The method that a GPU takes over, `attack` where it is one; none where no GPU is asked for.
///
/// # Errors
/// A method, or a norm with `--clip`, that no GPU knows; `--profile` without a GPU.
pub fn check(
    args: &RunArgs,
    method: Option<OnDevice>,
    attack: bool,
) -> crate::error::Result<Option<OnDevice>> {
    if !args.compute.is_gpu() {
        return args.without_profile().map(|()| None);
    }
    let Some(method) = method else {
        let message = if attack {
            "--backend gpu: expected --method pgd, no GPU knows other attacks"
        } else {
            "--backend gpu: expected --method auto, alpha-crown, dual, crown, crown-ibp, fast-lin, ibp, simplex or, of certify, lp or sdp, no GPU knows others"
        };
        return Err(Error::Usage(message.to_owned()));
    };
    if method.method.0 == "simplex" && args.clip.is_some() {
        let message = "--backend gpu: expected --method simplex without --clip";
        return Err(Error::Usage(message.to_owned()));
    }
    let (fits, message) = if attack {
        let fits = matches!(args.norm, Norm::Linf | Norm::L2);
        (fits, "--backend gpu: expected --norm linf or l2 of an attack")
    } else {
        let round = matches!(args.norm, Norm::L1 | Norm::L2) && args.clip.is_none();
        let message = "--backend gpu: expected --norm linf, or l1 or l2 without --clip";
        (args.norm == Norm::Linf || round, message)
    };
    if !fits {
        return Err(Error::Usage(message.to_owned()));
    }
    Ok(Some(method))
}

/// A GPU at work.
pub struct Started {
    ahead: Arc<Ahead>,
    method: OnDevice,
    samples: usize,
}

impl Started {
    /// The stages of a plan, with those that ask it; of an attack alone, which has none, the only one.
    /// Where it searches for slopes, the cores go on from what it leaves open.
    pub fn stages(&self, plan: &[SharedStage]) -> Vec<SharedStage> {
        let first: SharedStage = Arc::clone(&self.ahead) as _;
        let OnDevice { slopes, apart, .. } = self.method;
        let mut stages = plan.to_vec();
        match stages.first_mut() {
            Some(stage) if slopes.is_none() || apart => *stage = first,
            _ => stages.insert(0, first),
        }
        if slopes.is_some() && apart {
            let last = stages.len() - 1;
            stages.insert(last, Arc::new(Searched(Arc::clone(&self.ahead))));
        }
        stages
    }

    /// Ends it, and prints what it did if that is asked for.
    pub fn end(&self) {
        if let Some(done) = self.ahead.end() {
            profile::print(self.ahead.name(), &done, self.samples);
        }
    }
}

/// Sets the first GPU that can be believed to work; none, after a message that says why, where there is
/// no such.
pub fn begin(run: Run<'_>) -> Option<Started> {
    let asked = match (run.epsilon, run.search) {
        (_, Some(search)) => Asked::Radius(*search),
        (Some(epsilon), None) if run.attack => Asked::Attack(epsilon),
        (Some(epsilon), None) => Asked::Ball(epsilon),
        (None, None) => return None,
    };
    let (adapters, cache) = (Adapters::find(), Cache::of_user());
    let qualify = |about: &About, device: &_| cache.qualify(about, device);
    let device = first(adapters.about(), |i| adapters.open(i), qualify, say)?;
    let job = Job {
        device,
        words: Arc::clone(run.words),
        set: Arc::clone(run.set),
        todo: run.todo.to_vec(),
        method: run.method.method,
        norm: run.args.norm,
        clip: run.clip,
        asked,
        attacks: run.attacks,
        profiled: run.args.profile,
        notice: Box::new(|what| say(what)),
    };
    let OnDevice { slopes, apart, .. } = run.method;
    let searching = slopes.map(|settings| Searching { settings, apart });
    let ahead = Arc::new(Ahead::search(job, searching));
    Some(Started { ahead, method: run.method, samples: run.todo.len() })
}

/// The first of the adapters that opens and qualifies; `say` is told why others do not, and of none.
fn first<D>(
    all: impl Iterator<Item = About>,
    open: impl Fn(usize) -> Result<D, Fault>,
    qualify: impl Fn(&About, &D) -> Result<Measured, Refusal>,
    mut say: impl FnMut(String),
) -> Option<D> {
    let mut none = "there is none";
    for (i, about) in all.enumerate() {
        none = "there is none to be believed";
        match open(i) {
            Err(fault) => say(format!("GPU: {about}: {fault}")),
            Ok(device) => match qualify(&about, &device) {
                Ok(_) => return Some(device),
                Err(refusal) => say(format!("GPU: {about} may decide nothing: {refusal}")),
            },
        }
    }
    say(format!("GPU: {none}; the CPU does it all"));
    None
}

#[cfg(test)]
mod tests {
    use certus_shaders::layout::OPS;
    use certus_shaders::twin;

    use super::*;
    use crate::gpu::probes::Rows;
    use crate::gpu::qualify::{self, qualify};

    /// The twin; `slips`, its products are two roundings off.
    struct Twin {
        slips: bool,
    }

    impl qualify::Asked for Twin {
        fn ops(&self, pairs: &[[u32; 2]]) -> Result<Vec<u32>, Fault> {
            let mut found: Vec<u32> = pairs.iter().flat_map(|pair| twin::ops(*pair)).collect();
            for of in found.chunks_exact_mut(OPS) {
                of[2] += if self.slips && f32::from_bits(of[2]).is_normal() { 2 } else { 0 };
            }
            Ok(found)
        }

        fn sums(&self, rows: &Rows) -> Result<Vec<[f32; 3]>, Fault> {
            Ok(twin::sums(&rows.what, &rows.a, &rows.b))
        }
    }

    fn about(name: &str) -> About {
        About {
            name: name.to_owned(),
            kind: "discrete",
            backend: "vulkan",
            driver: "driver 1".to_owned(),
            binding: 1 << 30,
            workgroup: 1024,
            half: false,
        }
    }

    /// Which is taken, of adapters that do not open, slip, or are right; and what was said.
    fn chosen(all: &[&str]) -> (Option<usize>, Vec<String>) {
        let open = |i: usize| match all[i] {
            "shut" => Err(Fault("no such device".to_owned())),
            kind => Ok((i, Twin { slips: kind == "slips" })),
        };
        let mut said = Vec::new();
        let qualify = |_: &About, (_, twin): &(usize, Twin)| qualify(twin);
        let device = first(all.iter().map(|name| about(name)), open, qualify, |why| said.push(why));
        (device.map(|(i, _)| i), said)
    }

    #[test]
    fn a_device_that_is_wrong_decides_nothing() {
        let (device, said) = chosen(&["shut", "slips", "right", "right"]);
        assert_eq!(device, Some(2));
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0], "GPU: shut (discrete, vulkan, driver 1): no such device");
        let begin = "GPU: slips (discrete, vulkan, driver 1) may decide nothing: a * b of ";
        assert!(said[1].starts_with(begin), "{said:?}");

        let (device, said) = chosen(&["slips"]);
        assert_eq!((device, said.len()), (None, 2));
        assert_eq!(said[1], "GPU: there is none to be believed; the CPU does it all");

        let (device, said) = chosen(&[]);
        assert_eq!(device, None);
        assert_eq!(said, ["GPU: there is none; the CPU does it all"]);

        assert_eq!(chosen(&["right"]), (Some(0), Vec::new()));
    }
}
