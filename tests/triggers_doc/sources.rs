//! What a source makes of what it is told before it is a sample: `window` and
//! `min_requests`. The numbers are worked out by the program's own sources, the
//! triggers come from its own reading of a configuration.

use std::{collections::BTreeMap, path::Path};

use rollbackd::{
    config::{
        parse,
        settings::{Config, Source},
    },
    replay::plot::{Panel, Tone},
    signals::{Asked, by_hand},
};
use rollbackd_core::{
    moment::Moment,
    reading::{Reading, Sample},
    settings::TriggerSettings,
    view::TriggerState::Breached,
    words::TriggerIx,
};

use crate::{
    scene::{Scene, Told, said},
    world::secs,
};

/// A configuration with these sources and triggers of the project `shop`.
fn config(text: &str) -> Config {
    let head = "[email]\nserver = \"smtp://127.0.0.1:25\"\nfrom = \"a@example.com\"\n\
                to = [\"b@example.com\"]\n[project.shop]\nbake = \"10m\"\nhealth = false\n";
    let loaded = parse(Path::new("rollbackd.toml"), &format!("{head}{text}"));
    loaded.unwrap_or_else(|rejected| panic!("{rejected}")).config
}

fn asked(config: &Config) -> Vec<Asked> {
    let project = &config.projects[0];
    let all = project.watches.iter().enumerate().map(|(index, watch)| Asked {
        trigger: TriggerIx(u32::try_from(index).unwrap()),
        project: project.settings.name.clone(),
        start_timeout: project.settings.start_timeout,
        watch: watch.clone(),
    });
    all.collect()
}

/// Seconds around 0 at which a source is asked.
fn moments(every: i64) -> impl Iterator<Item = i64> {
    (-20..40).map(move |nth| nth * every)
}

fn moment(second: i64) -> Moment {
    Moment::ZERO + secs(u64::try_from(second + 100_000).unwrap())
}

/// A scene whose triggers read these samples.
fn scene(config: &Config, lead: u64, samples: BTreeMap<String, Vec<Sample>>, good: f64) -> Scene {
    let settings = config.settings().projects.remove(0);
    let read = move |_: &crate::world::World, trigger: &TriggerSettings, second: i64| {
        let of_trigger = &samples[&trigger.name];
        let found = of_trigger.iter().find(|sample| sample.at == moment(second));
        found.map_or(Reading::Value(good), |sample| sample.reading.clone())
    };
    Scene::reading(settings, lead, good, read)
}

pub fn window() -> Told {
    let trigger = |name: &str, window: &str| {
        format!(
            "[[project.shop.trigger]]\nname = \"{name}\"\nservice = \"web\"\n\
             signal = \"availability\"\nsource = \"door\"\nbelow = \"90%\"\nfor = \"1m\"\n\
             every = \"5s\"\nwindow = \"{window}\"\n"
        )
    };
    let text = format!(
        "{}{}[source.door]\nkind = \"probe\"\nurl = \"http://127.0.0.1/\"\n",
        trigger("short", "20s"),
        trigger("long", "30s")
    );
    let config = config(&text);
    // One probe is lost; later the service is away.
    let answered = |t: i64| t != 30 && !(105..200).contains(&t);
    let samples = asked(&config).into_iter().map(|asked| {
        let probes = moments(5).map(|t| (moment(t), answered(t)));
        (asked.watch.trigger.name.clone(), by_hand::from_probes(&asked, probes))
    });
    let samples = samples.collect();
    let mut scene = scene(&config, 0, samples, 1.0);
    scene.until(195);
    let (first, fires) = (scene.pending("short", 0), scene.since("short", Breached, 0));
    let over = scene.since("short", rollbackd_core::view::TriggerState::Ok, first);
    let (also, longer) = (scene.since("long", Breached, 0), scene.pending("long", 0));
    assert_eq!((first, longer), (30, 30));
    let second = scene.pending("short", 60);
    scene.mark(30, "one probe is lost", Tone::Plain);
    scene.mark(105, "the service is away", Tone::Plain);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("short");
    panel.label = "availability of web, over a window of 20s".into();
    panel.strips = vec![scene.strip("short", "window 20s"), scene.strip("long", "window 30s")];
    panel.strips.insert(1, scene.length(30, over, said(over - 30)));
    let title = format!(
        "One lost probe of twelve a minute keeps an availability over 20s low for {}, far shorter \
         than `for`. When the service is away the trigger is pending at {} and fires at {}.",
        said(over - 30),
        said(second),
        said(fires)
    );
    assert_eq!(also, fires, "a breach of a whole window comes as soon");
    let says = vec![format!("for {}", said(over - 30)), format!("fires at {}", said(fires))];
    scene.told(title, vec![panel], says)
}

pub fn min_requests() -> Told {
    let trigger = |name: &str, least: u32| {
        format!(
            "[[project.shop.trigger]]\nname = \"{name}\"\nservice = \"web\"\n\
             signal = \"error_rate\"\nsource = \"web\"\nabove = \"5%\"\nfor = \"2m\"\n\
             window = \"1m\"\nmin_requests = {least}\n"
        )
    };
    let text = format!(
        "{}{}[source.web]\nkind = \"scrape\"\nurl = \"http://127.0.0.1/metrics\"\n",
        trigger("twenty", 20),
        trigger("one", 1)
    );
    let config = config(&text);
    // A quiet night: few ask, and one request fails each half minute. Then day.
    let page = |t: i64| {
        let quiet = t.clamp(0, 240) / 15;
        let busy = (t + 300).max(0) / 15 - quiet;
        let failed = t.clamp(0, 240) / 30;
        let good = busy * 15 + quiet * 2 - failed;
        format!(
            "# TYPE http_requests_total counter\nhttp_requests_total{{status=\"200\"}} {good}\n\
             http_requests_total{{status=\"500\"}} {failed}\n"
        )
    };
    let Source::Scrape(source) = &config.sources["web"] else { panic!("a page") };
    let samples = asked(&config).into_iter().map(|asked| {
        let pages = moments(15).map(|t| (moment(t), page(t)));
        (asked.watch.trigger.name.clone(), by_hand::from_pages(&asked, source, pages))
    });
    let samples = samples.collect();
    let mut scene = scene(&config, 60, samples, 0.0);
    scene.until(390);
    let fires = scene.since("one", Breached, 0);
    assert!(!scene.was("twenty", Breached));
    scene.mark(0, "night: 8 requests a minute", Tone::Plain);
    scene.mark(240, "day", Tone::Plain);
    scene.mark(fires, format!("with 1: fires at {}", said(fires)), Tone::Breached);
    let few = scene.panel("one");
    let enough = scene.panel("twenty");
    let few = Panel { label: "error_rate of web, min_requests = 1".into(), ..few };
    let enough = Panel { label: "error_rate of web, min_requests = 20".into(), ..enough };
    let title = format!(
        "At night there are 8 requests a minute and two of them fail. With `min_requests = 1` that is \
         an error rate of 25%, and the trigger fires at {}; with 20 there is no number, and it is \
         blind until the day.",
        said(fires)
    );
    scene.told(title, vec![few, enough], vec![format!("fires at {}", said(fires)), "25%".into()])
}
