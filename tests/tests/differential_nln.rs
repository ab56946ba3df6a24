//! Sigmoid and tanh nets beside the verdicts that VNN-COMP 2020 saw on them.
//!
//! An instance is one of four nets, one of the first 25 MNIST test images with pixels 0 to 255 as
//! they are, and linf 5 or 12, cut to [0, 255]; the class is the label. VeriNet, which splits the
//! input and the neurons until a limit of 900 s, answers for 16 of the images: safe, unsafe or
//! undecided. ERAN's files have what an attack found on all 25: a counterexample, printed to nine
//! digits, or none, which claims nothing. No instance may be certified by the one and falsified by
//! the other side, and what they prove either way we must prove too. At 5 and 12 bounds prove
//! little, so linf 2, of which nothing is published, holds our proofs against our attacks.

use std::io::Read;
use std::path::Path;

use certus::attack::{Attack, Method, Threat, Worker, replay};
use certus::plan::propagation;
use certus::question::Question;
use certus::report::Verdict;
use certus_engine::bounds::{Method as Bounds, Options};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_tests::outside;
use rayon::prelude::*;

/// Kind and shape of the nets on which there are verdicts.
const NETS: [(&str, &str); 4] = [
    ("sigmoid/logsig", "200_50"),
    ("sigmoid/logsig", "200_100_50"),
    ("tanh/tansig", "200_50"),
    ("tanh/tansig", "200_100_50"),
];

/// Radii with verdicts.
const RADII: [u32; 2] = [5, 12];

/// A radius without.
const OURS: u32 = 2;

const BOX: (f32, f32) = (0.0, 255.0);

/// Our proofs, each on its own.
const PROOFS: [(&str, Options); 1] = [("crown", Options::new(Bounds::Crown))];

/// In all of VeriNet's files: safe, unsafe, undecided; in all of ERAN's: counterexamples, none.
const PUBLISHED: [usize; 5] = [1, 40, 87, 65, 135];

const SIDE: &str = "vnncomp2020";

/// A pixel as a file prints it.
fn number(text: &str) -> f32 {
    text.trim().parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn numbers(path: &Path) -> Vec<f32> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.split(',').filter(|field| !field.trim().is_empty()).map(number).collect()
}

/// The images, pixels 0 to 255, and their labels.
fn images(folder: &Path) -> Vec<(Vec<f32>, usize)> {
    let labels = numbers(&folder.join("labels"));
    let image = |(i, label): (usize, f32)| {
        (numbers(&folder.join(format!("image{}", i + 1))), label as usize)
    };
    labels.into_iter().enumerate().map(image).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum VeriNet {
    Safe,
    Unsafe,
    Undecided,
}

/// VeriNet's answers for one radius, image by image.
fn verinet(text: &str, radius: u32) -> Vec<VeriNet> {
    let heading = format!("epsilon = {radius}:");
    let part = text.split("Benchmarking with ").find(|part| part.starts_with(&heading));
    let lines = part.unwrap_or_else(|| panic!("no {heading}")).lines();
    let answers = lines.filter_map(|line| line.strip_prefix("Final result of input "));
    let answer = |(i, line): (usize, &str)| {
        let (image, rest) = line.split_once(": Status.").expect("a status");
        assert_eq!(image, i.to_string(), "{line}");
        match rest.split_once(',').map(|x| x.0) {
            Some("Safe") => VeriNet::Safe,
            Some("Unsafe") => VeriNet::Unsafe,
            Some("Undecided") => VeriNet::Undecided,
            _ => panic!("{line}"),
        }
    };
    answers.enumerate().map(answer).collect()
}

/// The points of ERAN's attack, image by image.
fn eran(path: &Path) -> Vec<Option<Vec<f32>>> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("a gzip stream of text");
    // What some files have before the first image is another run's rest.
    let parts = text.split("img ").skip(1).enumerate();
    let part = |(i, part): (usize, &str)| {
        assert_eq!(part.lines().next(), Some(i.to_string().as_str()));
        let Some((_, found)) = part.split_once("Attack found for ") else {
            assert!(part.contains("No attacks"), "image {i}");
            return None;
        };
        let (_, point) = found.split_once('[').expect("a point");
        let (point, _) = point.split_once(']').expect("the end of a point");
        Some(point.split_whitespace().map(number).collect())
    };
    parts.map(part).collect()
}

/// What became of one instance.
struct Instance {
    verinet: Option<VeriNet>,
    /// Whether ERAN's point, where there is one, falsifies.
    eran: Option<bool>,
    /// Least margin proved by each of [`PROOFS`], and whether it certifies.
    proofs: Vec<(bool, f64)>,
    attacked: bool,
}

impl Instance {
    /// Theirs: falsified, by a point or by VeriNet's word.
    fn falsified(&self) -> bool {
        self.eran == Some(true) || self.verinet == Some(VeriNet::Unsafe)
    }

    fn certified(&self) -> bool {
        self.proofs.iter().any(|proof| proof.0)
    }

    /// Whether two verdicts, of whomever, cannot both be right.
    fn contradicts(&self) -> bool {
        (self.certified() || self.verinet == Some(VeriNet::Safe))
            && (self.falsified() || self.attacked)
    }
}

fn instance(
    worker: &mut Worker<'_>,
    index: usize,
    (x, label): &(Vec<f32>, usize),
    radius: u32,
    verinet: Option<VeriNet>,
    point: Option<&[f32]>,
) -> Instance {
    let epsilon = f64::from(radius);
    let question = |(name, options): &(&'static str, Options)| Question {
        clip: Some(BOX),
        ..Question::new(Norm::Linf, [propagation(name, *options)])
    };
    let proof = |stage: &(&'static str, Options)| {
        let answer = question(stage).certify(worker, index, x, Some(*label), epsilon);
        let record = answer.record;
        assert_ne!(record.verdict, Verdict::Misclassified, "image {index}: another net or image");
        (record.verdict == Verdict::Certified, record.margin.unwrap_or(f64::NEG_INFINITY))
    };
    let proofs = PROOFS.iter().map(proof).collect();
    let attack = Attack { clip: Some(BOX), ..Attack::new(Method::Pgd) };
    let (answer, _) = attack.answer(&question(&PROOFS[0]), worker, index, x, Some(*label), epsilon);
    let eran = point.map(|point| {
        let apart = point.iter().zip(x).map(|(p, x)| (p - x).abs()).fold(0.0, f32::max);
        assert!(apart <= radius as f32 + 1e-4, "image {index}: {apart} from another image");
        // The digits left out may have brought it outside.
        let point: Vec<f32> = point.iter().zip(x).map(|(p, x)| within(*p, *x, radius)).collect();
        let threat = Threat { center: x, epsilon, norm: Norm::Linf, clip: Some(BOX) };
        replay(&mut worker.runner, &threat, *label, &point).is_ok()
    });
    Instance { verinet, eran, proofs, attacked: answer.record.verdict == Verdict::Falsified }
}

/// The pixel of the ball and the box that is nearest; theirs are whole numbers, so nothing rounds.
fn within(p: f32, x: f32, radius: u32) -> f32 {
    let radius = radius as f32;
    p.clamp((x - radius).max(BOX.0), (x + radius).min(BOX.1))
}

#[test]
fn every_published_verdict_is_met() {
    let test = "every_published_verdict_is_met";
    let Some(folder) = outside::find(test, &format!("{SIDE}/PWL_mnist/oval/mnist_images")) else {
        return;
    };
    let images = images(&folder);
    println!(
        "25 MNIST images, linf, pixels 0 to 255; of VeriNet's 16, of ERAN's and of ours all 25"
    );
    println!(
        "{:<18} {:>3}  {:>4} {:>6} {:>9}  {:>8} {:>8}  {:>6}  proofs",
        "net", "eps", "safe", "unsafe", "undecided", "ERAN's", "replayed", "PGD"
    );
    let mut published = [0; 5];
    let mut wrong = Vec::new();
    for (kind, shape) in NETS {
        let (_, name) = kind.split_once('/').expect("a folder and a name");
        let name = format!("{name}_{shape}");
        let path = format!("{SIDE}/NLN_mnist/{kind}_{shape}_onnx.onnx");
        let Some(path) = outside::find(test, &path) else { continue };
        let told = format!("{SIDE}/results/verinet/mnist_{name}.txt");
        let Some(told) = outside::find(test, &told) else { continue };
        let told = std::fs::read_to_string(&told).unwrap_or_else(|error| panic!("{error}"));
        let words = outside::words(&outside::logits(&path));
        let model = Model::from_words(&words).expect("packed here");
        for radius in [OURS].into_iter().chain(RADII) {
            let (verinet, points) = if radius == OURS {
                (Vec::new(), vec![None; images.len()])
            } else {
                let points = format!("{SIDE}/results/eran_neel/{name}_eps{radius}.txt.gz");
                let Some(points) = outside::find(test, &points) else { continue };
                let (verinet, points) = (verinet(&told, radius), eran(&points));
                assert_eq!((verinet.len(), points.len()), (16, images.len()), "{name} {radius}");
                (verinet, points)
            };
            let each = images.par_iter().enumerate().map_init(
                || Worker::new(model, false),
                |worker, (i, image)| {
                    let told = verinet.get(i).copied();
                    instance(worker, i, image, radius, told, points[i].as_deref())
                },
            );
            let each: Vec<Instance> = each.collect();
            let count = |f: &dyn Fn(&Instance) -> bool| each.iter().filter(|x| f(x)).count();
            let said = |what| count(&|x| x.verinet == Some(what));
            let counts = [
                said(VeriNet::Safe),
                said(VeriNet::Unsafe),
                said(VeriNet::Undecided),
                count(&|x| x.eran.is_some()),
                if radius == OURS { 0 } else { count(&|x| x.eran.is_none()) },
            ];
            published = std::array::from_fn(|i| published[i] + counts[i]);
            let proofs = PROOFS.iter().enumerate().map(|(p, stage)| {
                let most = each.iter().map(|x| x.proofs[p].1).fold(f64::NEG_INFINITY, f64::max);
                let certified = count(&|x| x.proofs[p].0);
                format!("{} {certified}, margins up to {most:.3}", stage.0)
            });
            println!(
                "{name:<18} {radius:>3}  {:>4} {:>6} {:>9}  {:>8} {:>8}  {:>6}  {}",
                counts[0],
                counts[1],
                counts[2],
                counts[3],
                count(&|x| x.eran == Some(true)),
                count(&|x| x.attacked),
                proofs.collect::<Vec<_>>().join("; ")
            );
            if radius == OURS && !each.iter().any(Instance::certified) {
                wrong.push(format!("{name}, {radius}: nothing certified"));
            }
            for (i, x) in each.iter().enumerate() {
                let of = format!("{name}, {radius}, image {i}");
                if x.contradicts() {
                    wrong.push(format!("{of}: certified and falsified"));
                }
                if x.falsified() && x.eran != Some(true) && !x.attacked {
                    wrong.push(format!("{of}: falsified by them alone"));
                }
                if x.eran == Some(false) {
                    wrong.push(format!("{of}: their point proves nothing"));
                }
                if x.verinet == Some(VeriNet::Safe) && !x.certified() {
                    wrong.push(format!("{of}: certified by VeriNet alone, {:?}", x.proofs));
                }
                if x.certified() && x.verinet == Some(VeriNet::Undecided) {
                    println!("{of}: certified, where VeriNet was undecided");
                }
                if radius != OURS && x.attacked && !x.falsified() {
                    println!("{of}: falsified by PGD alone");
                }
                if x.falsified() && !x.attacked {
                    println!("{of}: falsified by their point alone");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("; "));
    if published.iter().sum::<usize>() > 0 {
        assert_eq!(published, PUBLISHED, "the files are others");
    }
}
