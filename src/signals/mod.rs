//! Where numbers come from: a file for each kind of source. Every question is
//! asked at its own fixed moments, equal questions are asked once, and each
//! answer becomes a sample for every trigger that asked. What a value means is
//! not decided here; what every odd answer is read as is in `docs/sources.md`.

#[cfg(feature = "testing")]
pub mod by_hand;
mod caller;
mod container;
mod exposition;
mod probe;
mod prometheus;
mod quantile;
mod rates;
mod schedule;
mod scrape;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rollbackd_core::{
    reading::{Missing, Reading, Sample},
    signal::Signal,
    words::{ProjectName, ServiceName, TriggerIx},
};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
};

use self::{
    container::Looker,
    probe::{Prober, Probes},
    prometheus::Server,
    schedule::Moments,
    scrape::{Book, Reader},
};
use crate::{
    config::settings::{Ask, Page, Source, Watch},
    docker::{Docker, event::Happening},
    host::clock::Clock,
};

/// One trigger's question.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub trigger: TriggerIx,
    /// In which project.
    pub project: ProjectName,
    /// The project's `start_timeout`: how long a container may take to start
    /// before `health` counts it as never started.
    pub start_timeout: Duration,
    /// What is asked, and how its number is got.
    pub watch: Watch,
}

/// What asking needs.
#[derive(Clone)]
pub struct Needs {
    /// What time it is.
    pub clock: Clock,
    /// The sources by name, as configured.
    pub sources: BTreeMap<String, Source>,
    /// The engine.
    pub docker: Docker,
    /// What the engine tells; every task that needs it subscribes.
    pub events: broadcast::Sender<Happening>,
    /// Where samples go. Bounded: when it is full, sources wait, and moments
    /// that pass meanwhile are left out.
    pub samples: mpsc::Sender<Sample>,
}

/// A time as people read it, to a tenth of a second.
fn span(time: Duration) -> humantime::FormattedDuration {
    let tenths = time.as_millis().saturating_add(50) / 100;
    let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(tenths.saturating_mul(100)))
}

/// The tasks that ask. Dropped, they end.
pub struct Running(JoinSet<()>);

impl Running {
    /// Ends all tasks and waits for their end.
    pub async fn stop(mut self) {
        self.0.shutdown().await;
    }

    /// Waits until a task ends by itself, which none does while samples are
    /// taken, and says why it did.
    pub async fn ended(&mut self) -> String {
        match self.0.join_next().await {
            Some(Err(error)) => format!("a source's task has ended: {error}"),
            Some(Ok(())) => "a source's task has ended: nobody takes its samples".to_owned(),
            None => std::future::pending().await,
        }
    }
}

/// What one question asked once was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The number, or why there is none. For what is worked out over a window
    /// it is that of the app's whole life (`scrape`) or of one request
    /// (`probe`).
    pub reading: Reading,
    /// What was answered, in words.
    pub text: String,
    /// What is wrong with the trigger's query, if that is why there is none.
    pub fault: Option<Fault>,
}

/// What is wrong with a query itself: asking again does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, with the server's own words.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Line and column within the query, both from 1, the column in bytes,
    /// where the server named them.
    pub place: Option<(usize, usize)>,
}

impl Fault {
    fn of(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), place: None }
    }
}

/// What makes two questions the same: then they are asked once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Question {
    Prometheus {
        source: String,
        query: String,
    },
    /// The project only where the page is a service's.
    Scrape {
        source: String,
        project: Option<ProjectName>,
    },
    Probe {
        source: String,
    },
    Container {
        project: ProjectName,
    },
}

impl Question {
    fn of(asked: &Asked, sources: &BTreeMap<String, Source>) -> Self {
        match &asked.watch.ask {
            Ask::Prometheus { source, query } => {
                Self::Prometheus { source: source.clone(), query: query.clone() }
            }
            Ask::Scrape { source, .. } => {
                let by_service = matches!(
                    sources.get(source),
                    Some(Source::Scrape(scrape)) if matches!(scrape.page, Page::Containers { .. })
                );
                let project = by_service.then(|| asked.project.clone());
                Self::Scrape { source: source.clone(), project }
            }
            Ask::Probe { source, .. } => Self::Probe { source: source.clone() },
            Ask::Container { .. } => Self::Container { project: asked.project.clone() },
        }
    }
}

/// Begins to ask: a task for each distinct question and interval.
#[must_use]
pub fn start(asked: Vec<Asked>, needs: &Needs) -> Running {
    let mut questions: BTreeMap<(Question, Duration), Vec<Asked>> = BTreeMap::new();
    for asked in asked {
        let key = (Question::of(&asked, &needs.sources), asked.watch.trigger.every);
        questions.entry(key).or_default().push(asked);
    }
    // One server's queries share its connections.
    let mut servers: BTreeMap<String, Arc<Server>> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    for ((question, every), asked) in questions {
        let moments = Moments::new(needs.clock.clone(), every, &question);
        let samples = needs.samples.clone();
        match (question, needs.sources.get(source_of(&asked))) {
            (Question::Prometheus { source, query }, Some(Source::Prometheus(config))) => {
                let new = || Arc::new(Server::new(source.clone(), config.clone()));
                let server = Arc::clone(servers.entry(source.clone()).or_insert_with(new));
                let limit = config.timeout;
                tasks.spawn(ask_server(server, query, limit, asked, moments, samples));
            }
            (Question::Scrape { project, .. }, Some(Source::Scrape(config))) => {
                let reader = Reader::new(config.clone(), project, needs.docker.clone());
                tasks.spawn(read_pages(reader, asked, moments, samples));
            }
            (Question::Probe { .. }, Some(Source::Probe(config))) => {
                let prober = Prober::new(config.clone());
                tasks.spawn(send_probes(prober, asked, moments, samples));
            }
            (Question::Container { project }, _) => {
                // Subscribed before the first look, so that nothing is missed.
                let events = needs.events.subscribe();
                let looker = looker(needs, project, &asked);
                tasks.spawn(container::watch(looker, asked, moments, events, samples));
            }
            (question, _) => {
                tasks.spawn(say_unusable(question, asked, moments, samples));
            }
        }
    }
    Running(tasks)
}

async fn ask_server(
    server: Arc<Server>,
    query: String,
    limit: Duration,
    asked: Vec<Asked>,
    moments: Moments,
    samples: mpsc::Sender<Sample>,
) {
    let (server, query) = (&server, query.as_str());
    let signal = &advised(&asked);
    let told = |at, told: Option<prometheus::Told>| {
        let reading = told.map_or_else(|| Reading::Missing(behind()), |told| told.reading);
        let sample =
            |asked: &Asked| Sample { trigger: asked.trigger, at, reading: reading.clone() };
        asked.iter().map(sample).collect()
    };
    schedule::ask_at(moments, limit, |_| server.ask(query, signal), told, samples).await;
}

/// The signal that all who ask the same have, for what is advised; else one
/// that nothing is known of.
fn advised(asked: &[Asked]) -> Signal {
    let mut signals = asked.iter().map(|asked| &asked.watch.trigger.signal);
    let first = signals.next().filter(|first| signals.all(|other| other == *first));
    first.cloned().unwrap_or(Signal::Own(String::new()))
}

async fn read_pages(
    reader: Reader,
    asked: Vec<Asked>,
    moments: Moments,
    samples: mpsc::Sender<Sample>,
) {
    let reader = &reader;
    let mut book = Book::new(longest_window(&asked));
    let told = |at, round: Option<scrape::Round>| {
        let round = round.unwrap_or_else(|| scrape::Round::unread(behind().to_string()));
        book.told(at, &round, &asked)
    };
    schedule::ask_at(moments, reader.limit(), |_| reader.read(), told, samples).await;
}

async fn send_probes(
    prober: Prober,
    asked: Vec<Asked>,
    moments: Moments,
    samples: mpsc::Sender<Sample>,
) {
    let prober = &prober;
    let mut probes = Probes::new(longest_window(&asked));
    let told = |at, probed: Option<Result<probe::Probed, String>>| {
        probes.told(at, probed.unwrap_or_else(|| Err(behind().to_string())), &asked)
    };
    schedule::ask_at(moments, prober.limit(), |_| prober.probe(), told, samples).await;
}

/// A configuration that was checked has no such question.
async fn say_unusable(
    question: Question,
    asked: Vec<Asked>,
    mut moments: Moments,
    samples: mpsc::Sender<Sample>,
) {
    loop {
        let at = moments.next().await;
        for asked in &asked {
            let reading = Reading::Missing(unusable(&question));
            if samples.send(Sample { trigger: asked.trigger, at, reading }).await.is_err() {
                return;
            }
        }
    }
}

fn unusable(question: &Question) -> Missing {
    Missing::Failed(format!("the configuration has no source that could be asked {question:?}"))
}

fn behind() -> Missing {
    Missing::Failed("it was not asked, because too many earlier questions are unanswered".into())
}

fn source_of(asked: &[Asked]) -> &str {
    asked.first().map_or("", |asked| match &asked.watch.ask {
        Ask::Prometheus { source, .. } | Ask::Scrape { source, .. } | Ask::Probe { source, .. } => {
            source
        }
        Ask::Container { .. } => "",
    })
}

fn longest_window(asked: &[Asked]) -> Duration {
    let window = |asked: &Asked| match asked.watch.ask {
        Ask::Scrape { window, .. } | Ask::Probe { window, .. } | Ask::Container { window } => {
            window
        }
        Ask::Prometheus { .. } => Duration::ZERO,
    };
    asked.iter().map(window).max().unwrap_or_default()
}

fn looker(needs: &Needs, project: ProjectName, asked: &[Asked]) -> Looker {
    let measures =
        |asked: &&Asked| matches!(asked.watch.trigger.signal, Signal::Cpu | Signal::Memory);
    let measured = asked.iter().filter(measures).map(|asked| asked.watch.trigger.service.clone());
    Looker {
        docker: needs.docker.clone(),
        clock: needs.clock.clone(),
        project,
        measured: measured.collect::<Vec<ServiceName>>(),
    }
}

/// Asks one trigger's question once, now, for a person. It waits no longer than
/// the source's own limits.
pub async fn ask_once(asked: &Asked, needs: &Needs) -> Answered {
    let signal = &asked.watch.trigger.signal;
    let question = Question::of(asked, &needs.sources);
    let source = needs.sources.get(source_of(std::slice::from_ref(asked)));
    let mut fault = None;
    let (reading, text) = match (question, source) {
        (Question::Prometheus { source, query }, Some(Source::Prometheus(config))) => {
            let mut told = Server::new(source, config.clone()).ask(&query, signal).await;
            fault = told.fault.take();
            prometheus::once(&told, signal)
        }
        (Question::Scrape { project, .. }, Some(Source::Scrape(config))) => {
            let reader = Reader::new(config.clone(), project, needs.docker.clone());
            scrape::once(&reader.read().await, signal)
        }
        (Question::Probe { .. }, Some(Source::Probe(config))) => {
            probe::once(Prober::new(config.clone()).probe().await, signal)
        }
        (Question::Container { project }, _) => {
            let looker = looker(needs, project, std::slice::from_ref(asked));
            container::once(looker, asked).await
        }
        (question, _) => {
            let why = unusable(&question);
            (Reading::Missing(why.clone()), why.to_string())
        }
    };
    Answered { reading, text, fault }
}

#[cfg(test)]
mod asking;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
