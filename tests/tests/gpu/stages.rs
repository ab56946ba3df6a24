//! alpha-CROWN on a GPU as stages of a plan: verdicts, who gave them, radii, counted work, and faults in
//! the middle of a search.

use std::path::Path;
use std::sync::{Arc, Mutex};

use certus::alpha::Settings;
use certus::attack::Worker;
use certus::dataset::Dataset;
use certus::gpu::{Ahead, Asked, Device, Job, Searched, Searching, Troubles};
use certus::plan::{SharedStage, propagation};
use certus::question::{Answer, Question};
use certus::radius::Search;
use certus::report::Verdict;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_tests::outside;

use super::{device, is_slow};

/// At which CROWN leaves some of the example's digits open that slopes can prove.
const EPSILON: f64 = 0.075;
const CROWN: Options = Options::new(Method::Crown);

struct Digits {
    words: Arc<Vec<u32>>,
    set: Arc<Dataset>,
    todo: Vec<usize>,
}

impl Digits {
    fn new(count: usize) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example");
        let network = outside::network(&example.join("digits.onnx"));
        let set = outside::samples(&example.join("digits.npz"), None);
        let todo = (0..count.min(set.rows)).collect();
        Self { words: Arc::new(outside::words(&network)), set: Arc::new(set), todo }
    }

    /// A device at work; what it said goes to `notices`.
    fn ahead(
        &self,
        device: Device,
        name: &'static str,
        asked: Asked,
        searching: Option<Searching>,
        notices: &Arc<Mutex<Vec<String>>>,
    ) -> Arc<Ahead> {
        let to = Arc::clone(notices);
        let job = Job {
            device,
            words: Arc::clone(&self.words),
            set: Arc::clone(&self.set),
            todo: self.todo.clone(),
            method: (name, CROWN),
            norm: Norm::Linf,
            clip: None,
            asked,
            attacks: Vec::new(),
            profiled: true,
            notice: Box::new(move |what| to.lock().unwrap().push(what.to_owned())),
        };
        Arc::new(Ahead::search(job, searching))
    }

    fn ask(&self, stages: Vec<SharedStage>, asked: Asked) -> Vec<Answer> {
        let model = Model::from_words(&self.words).expect("packed here");
        let question = Question::new(Norm::Linf, stages);
        let mut worker = Worker::new(model, false);
        let all = self.todo.iter().map(|i| {
            let (x, label) = (self.set.row(*i), self.set.label(*i));
            match asked {
                Asked::Ball(epsilon) => question.certify(&mut worker, *i, x, label, epsilon),
                Asked::Radius(search) => question.radius(&mut worker, *i, x, label, &search).0,
                Asked::Attack(_) => unreachable!("nothing is attacked here"),
            }
        });
        all.collect()
    }
}

fn certified(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.record.verdict == Verdict::Certified).count()
}

const SETTINGS: Settings = Settings {
    iterations: 20,
    rate: 0.5,
    curved: 0.05,
    decay: 0.98,
    shared: false,
    give_up: false,
    inside: true,
};

#[test]
fn slopes_prove_more_and_say_what_did() {
    let Some(first) = device("slopes_prove_more_and_say_what_did") else { return };
    let digits = Digits::new(if is_slow(&first) { 3 } else { 120 });
    let (slow, notices, asked) = (is_slow(&first), Arc::default(), Asked::Ball(EPSILON));
    let crown = digits.ahead(first, "crown", asked, None, &notices);
    let alone = digits.ask(vec![Arc::clone(&crown) as _], asked);
    let of_crown = crown.end().expect("profiled").macs;

    let Some(second) = device("slopes_prove_more_and_say_what_did") else { return };
    let backend = format!("gpu {}", second.about.name);
    let settings = Settings { give_up: true, ..SETTINGS };
    let searching = Some(Searching { settings, apart: true });
    let ahead = digits.ahead(second, "crown", asked, searching, &notices);
    let stages: Vec<SharedStage> =
        vec![Arc::clone(&ahead) as _, Arc::new(Searched(Arc::clone(&ahead)))];
    let both = digits.ask(stages, asked);
    let of_both = ahead.end().expect("profiled").macs;
    for (alone, both) in alone.iter().zip(&both) {
        let (alone, both) = (&alone.record, &both.record);
        if alone.verdict == Verdict::Certified {
            assert_eq!((both.verdict, &*both.method), (Verdict::Certified, "crown"));
        } else if alone.verdict == Verdict::Unknown {
            assert_eq!(both.method, "alpha-crown");
            assert!(both.margin >= alone.margin, "{both:?}");
        }
        if both.verdict != Verdict::Misclassified {
            assert_eq!(both.backend, backend);
        }
    }

    let Some(third) = device("slopes_prove_more_and_say_what_did") else { return };
    let searching = Some(Searching { settings: SETTINGS, apart: false });
    let ahead = digits.ahead(third, "alpha-crown", asked, searching, &notices);
    let whole = digits.ask(vec![Arc::clone(&ahead) as _], asked);
    let of_whole = ahead.end().expect("profiled").macs;
    assert!(whole.iter().all(|answer| answer.record.method != "crown"));

    let counts = [&alone, &both, &whole].map(|answers| certified(answers));
    let macs = [of_crown, of_both, of_whole];
    println!("certified {counts:?}, multiply-adds {macs:?}");
    assert_eq!(counts[1], counts[2]);
    assert!(slow || counts[1] > counts[0], "{counts:?}");
    // Giving up spares work, searching takes some.
    assert!(macs[0] <= macs[1] && macs[1] <= macs[2], "{macs:?}");
    assert!(slow || macs[0] < macs[1] && macs[1] < macs[2], "{macs:?}");
    assert!(notices.lock().unwrap().is_empty());
}

#[test]
fn radii_by_slopes_are_crowns_or_larger() {
    let Some(first) = device("radii_by_slopes_are_crowns_or_larger") else { return };
    if is_slow(&first) {
        return;
    }
    let digits = Digits::new(12);
    let search = Search { tolerance: 1e-4, budget: 60, start: 0.05 };
    let (asked, notices) = (Asked::Radius(search), Arc::default());
    let searching = Some(Searching { settings: SETTINGS, apart: false });
    let ahead = digits.ahead(first, "alpha-crown", asked, searching, &notices);
    let ours = digits.ask(vec![ahead as _], asked);
    let crown = digits.ask(vec![propagation("crown", CROWN)], asked);
    let mut larger = 0;
    for (ours, crown) in ours.iter().zip(&crown) {
        let radii = [ours, crown].map(|answer| answer.record.radius.expect("found"));
        // What a device's roundings take from a radius, and a step of the grid.
        assert!(radii[0] >= radii[1] * 0.998 - search.tolerance, "{radii:?}");
        larger += usize::from(radii[0] > radii[1] + search.tolerance);
    }
    println!("{larger} larger");
    assert!(larger > 0);
    assert!(notices.lock().unwrap().is_empty());
}

#[test]
fn a_fault_in_a_search_is_answered_by_smaller_batches_or_the_cores() {
    let test = "a_fault_in_a_search_is_answered_by_smaller_batches_or_the_cores";
    let asked = Asked::Ball(EPSILON);
    let searching = Some(Searching { settings: SETTINGS, apart: false });
    let mut counts = Vec::new();
    // CROWN takes a submission for each layer that it walks; the search follows.
    for (refused, said) in [(0..0, 0), (6..7, 1), (6..usize::MAX, 1)] {
        let Some(device) = device(test) else { return };
        if is_slow(&device) {
            return;
        }
        let digits = Digits::new(16);
        let device = device.plant(Troubles { refused, ..Troubles::default() });
        let notices = Arc::default();
        let ahead = digits.ahead(device, "alpha-crown", asked, searching, &notices);
        let crown = propagation("alpha-crown", CROWN);
        let answers = digits.ask(vec![ahead as _, crown], asked);
        counts.push(certified(&answers));
        assert!(notices.lock().unwrap().len() >= said, "{:?}", notices.lock().unwrap());
    }
    println!("{counts:?}");
    assert_eq!(counts[0], counts[1]);
    assert!(counts[2] <= counts[0]);
}
