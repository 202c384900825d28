//! A page as a browser shows it: what its script makes of it, what it says and what it asks for.
//! Debian's package chromium opens it; without that the tests say so and look at the file alone.

// Not every test of this folder needs all of it.
#![allow(dead_code)]

use std::path::Path;
use std::process::Command;

/// Keeps the mistakes of a page's scripts in the document. They are on the console, too, but come
/// from there by another way, which may be the slower one.
const WATCH: &str = "<script>for (const kind of ['error', 'unhandledrejection'])\
                     addEventListener(kind, (event) => document.documentElement.setAttribute(\
                     'data-mistake', event.message ?? event.reason));</script>";

/// What a browser makes of a page.
pub struct Browsed {
    /// The document after its script has run.
    pub dom: String,
    /// What the page says on the console, and the last mistake of its scripts.
    pub said: Vec<String>,
    /// What it asks the network for.
    pub asked: Vec<String>,
}

/// Opens a page in a browser that resolves no name. `None`: there is none here.
pub fn browse(page: &Path, view: &str) -> Option<Browsed> {
    let folder = page.with_extension("browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    let log = folder.join("net.json");
    let (text, watched) =
        (std::fs::read_to_string(page).expect("a page"), folder.join("page.html"));
    let (head, rest) = text.split_once('>').expect("a doctype");
    std::fs::write(&watched, format!("{head}>{WATCH}{rest}")).expect("a page");
    let command = Command::new("timeout")
        .args(["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--enable-logging=stderr", "--window-size=1240,1000", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", folder.display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}{view}", watched.display()))
        .output();
    let output = command.ok().filter(|output| output.status.code() != Some(127));
    let Some(output) = output else {
        eprintln!("skipped: chromium is not installed (Debian package chromium)");
        return None;
    };
    let dom = String::from_utf8(output.stdout).expect("text");
    let console = String::from_utf8_lossy(&output.stderr);
    let console = console.lines().filter(|line| line.contains("CONSOLE")).map(str::to_string);
    let mistakes = elements(&dom, &["data-mistake"]).into_iter().flatten();
    let said = console.chain(mistakes).collect();
    let log = std::fs::read_to_string(log).expect("a log of the network");
    assert!(log.contains("\"events\""), "a log of the network");
    let urls = log.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    // The browser itself looks for updates and the time.
    let own = ["googleapis.com/", "google.com/", "gvt1.com/"];
    let asked = urls.filter(|url| url.starts_with("http") || url.starts_with("ws"));
    let asked = asked.filter(|url| !own.iter().any(|own| url.contains(own))).map(str::to_string);
    let asked = asked.collect();
    let _ = std::fs::remove_dir_all(&folder);
    Some(Browsed { dom, said, asked })
}

/// The document after its script has run to its end, with nothing said and nothing asked for.
pub fn dom(page: &Path, view: &str) -> Option<String> {
    let Browsed { dom, said, asked } = browse(page, view)?;
    assert_eq!((said, asked), (Vec::<String>::new(), Vec::<String>::new()));
    assert!(dom.contains("data-ready=\"yes\""), "the script did not end");
    Some(dom)
}

/// A run as a page that compares several shows it.
#[derive(Debug)]
pub struct Run {
    pub label: String,
    /// The host of each lane.
    pub lanes: Vec<String>,
    /// Where each step stands.
    pub steps: Vec<String>,
    /// What the pointer tells of its first advert.
    pub advert: String,
}

/// The runs of a page, with the pointer over the first advert of each.
pub fn runs(page: &Path) -> Option<Vec<Run>> {
    let hands = "<script>for (const run of document.querySelectorAll('.run')) {\
                 run.querySelector('.hit').dispatchEvent(\
                 new PointerEvent('pointermove', { bubbles: true }));\
                 run.dataset.advert = document.getElementById('tip').textContent;\
                 }</script></html>";
    let text = std::fs::read_to_string(page).expect("a page");
    let touched = page.with_extension("touched.html");
    std::fs::write(&touched, text.replace("</html>", hands)).expect("a page");
    let dom = dom(&touched, "")?;
    let told = elements(&dom, &["data-label", "data-advert"]);
    let drawn = dom.split(" data-label=").skip(1);
    let run = |(told, drawn): (Vec<String>, &str)| {
        let first = |found: Vec<String>| found.into_iter().next().unwrap_or_default();
        let lanes = elements(drawn, &["data-host", "data-router"]).into_iter().map(first).collect();
        let steps = elements(drawn, &["x1", "class"]).into_iter().filter(|one| one[1] == "step");
        let [label, advert] = <[String; 2]>::try_from(told).expect("two attributes");
        Run { label, lanes, steps: steps.map(first).collect(), advert }
    };
    Some(told.into_iter().zip(drawn).map(run).collect())
}

/// The attributes `names` of each element that has all of them.
pub fn elements(dom: &str, names: &[&str]) -> Vec<Vec<String>> {
    let of = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_string())
    };
    let tags = dom.split('<').map(|tag| tag.split('>').next().unwrap_or_default());
    tags.filter_map(|tag| names.iter().map(|name| of(tag, name)).collect()).collect()
}
