//! Differential fuzzing: what we call a read, the server's own parser calls a read, of the same relations and with the
//! same functions; and our lexer cuts as its scanner does. `make fuzz` runs it.
//!
//! Statements are made from real ones by exchanging, removing, nesting and disguising their parts. A counterexample is
//! made as small as it gets and printed, and the program ends with 1. With the same seed and the same number of
//! threads it tries the same texts in the same order.

mod check;
mod mutate;
mod random;
mod smaller;
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use check::{Outcome, Text, check};
use mutate::Mutator;
use random::Random;

/// Different counterexamples after which there is enough to do.
const ENOUGH: usize = 12;

struct Arguments {
    seconds: u64,
    seed: u64,
    threads: u64,
    /// Show the texts that only one side calls reads.
    show: bool,
}

#[derive(Default)]
struct Counts {
    texts: AtomicU64,
    reads: AtomicU64,
    parsed: AtomicU64,
    missed: AtomicU64,
    alone: AtomicU64,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\nusage: pgsluice-fuzz [--seconds N] [--seed N] [--threads N] [--show]");
            return ExitCode::from(2);
        }
    };
    let mutator = Mutator::new(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    println!("seed {} ({} threads, {} seeds)", arguments.seed, arguments.threads, mutator.len());
    let (counts, found) = (Counts::default(), Mutex::new(BTreeMap::new()));
    let begun = Instant::now();
    let until = begun + Duration::from_secs(arguments.seconds);
    // A panic is a counterexample like any other: it is reported there.
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for thread in 0..arguments.threads {
            let (mutator, counts, found, arguments) = (&mutator, &counts, &found, &arguments);
            scope.spawn(move || work(mutator, Random::new(arguments.seed, thread), until, counts, found, arguments));
        }
    });
    let seconds = begun.elapsed().as_secs().max(1);
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} texts in {seconds} s ({} a second): the server's parser takes {}, {} pass as reads; it alone calls {} reads, and \
         refuses {} that we do",
        of(&counts.texts),
        of(&counts.texts) / seconds,
        of(&counts.parsed),
        of(&counts.reads),
        of(&counts.missed),
        of(&counts.alone),
    );
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if found.is_empty() {
        println!("no counterexample");
        return ExitCode::SUCCESS;
    }
    println!("{} counterexamples (seed {})", found.len(), arguments.seed);
    ExitCode::FAILURE
}

fn work(
    mutator: &Mutator,
    mut random: Random,
    until: Instant,
    counts: &Counts,
    found: &Mutex<BTreeMap<String, Text>>,
    arguments: &Arguments,
) {
    let one_more = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    while Instant::now() < until {
        let text = mutator.text(&mut random);
        one_more(&counts.texts);
        match check(&text) {
            Ok(outcome) => {
                if !matches!(outcome, Outcome::Refused | Outcome::ReadAlone) {
                    one_more(&counts.parsed);
                }
                let counter = match outcome {
                    Outcome::Read => &counts.reads,
                    Outcome::Missed => &counts.missed,
                    Outcome::ReadAlone => &counts.alone,
                    Outcome::Refused | Outcome::Other => continue,
                };
                one_more(counter);
                if arguments.show && outcome != Outcome::Read {
                    println!("{outcome:?}: {}", text.sql.escape_debug());
                }
            }
            Err(difference) => {
                let small = smaller::smaller(&text);
                let difference = check(&small).err().unwrap_or(difference);
                let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if found.insert(kind_of(&difference), small.clone()).is_none() {
                    println!("{difference}\n  standard_conforming_strings {}", small.conforming);
                    println!("  {}\n  from {}\n", small.sql.escape_debug(), text.sql.escape_debug());
                }
                if found.len() >= ENOUGH {
                    return;
                }
            }
        }
    }
}

/// A difference without what is its own: one example of each is enough.
fn kind_of(difference: &str) -> String {
    difference
        .split_whitespace()
        .filter(|word| word.chars().all(char::is_alphabetic))
        .take(6)
        .collect::<Vec<_>>()
        .join(" ")
}

fn arguments() -> Result<Arguments, String> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut arguments = Arguments { seconds: 300, seed, threads, show: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--show" {
            arguments.show = true;
            continue;
        }
        let value = words.next().ok_or(format!("{word} needs a number"))?;
        let number = value.parse().map_err(|_| format!("{word}: {value} is no number"))?;
        match word.as_str() {
            "--seconds" => arguments.seconds = number,
            "--seed" => arguments.seed = number,
            "--threads" if number > 0 => arguments.threads = number,
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(arguments)
}
