//! A web server's page: `HTTP_GET`, and `SSL_GET` inside of TLS (RFC 9110, RFC 9112).

mod body;
mod head;
mod pattern;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use vipd_engine::config::health::{HttpCheck, HttpProtocol, Url};

use crate::dialogue::{Step, Talk};
use crate::plan::{Unusable, fits_in_a_line};
use crate::verdict::{Fault, HttpFault, Stage, Verdict};

use body::Body;
use head::{Head, Progress};
use pattern::Pattern;

pub use pattern::PATTERN_SIZE_MAX;

/// Most octets of a line of a head, as of the request line that Apache and nginx accept.
pub const HTTP_LINE_MAX: usize = 8192;

/// Most octets of all lines of a head, interim ones included, and of all trailers.
pub const HTTP_HEAD_MAX: usize = 64 * 1024;

/// What the request says that we are.
const USER_AGENT: &str = "vipd";

/// All pages of a check, prepared.
#[derive(Debug)]
pub(crate) struct HttpPlan {
    pages: Vec<Page>,
    /// All of them in one attempt.
    all: bool,
}

/// A page: what is asked, and what must come.
#[derive(Debug)]
pub(crate) struct Page {
    path: String,
    server_name: Option<String>,
    request: Vec<u8>,
    status: Vec<(u16, u16)>,
    digest: Option<[u8; 16]>,
    pattern: Option<Arc<Pattern>>,
}

impl HttpPlan {
    pub(crate) fn new(check: &HttpCheck, address: IpAddr, port: u16) -> Result<Self, Unusable> {
        if check.urls.is_empty() {
            return Err(Unusable::NoPage);
        }
        let target = SocketAddr::new(address, port);
        let pages = check.urls.iter().map(|url| Page::new(check, url, target));
        Ok(Self { pages: pages.collect::<Result<_, _>>()?, all: check.fast_recovery })
    }
}

impl Page {
    fn new(check: &HttpCheck, url: &Url, target: SocketAddr) -> Result<Self, Unusable> {
        let path = fits_in_a_line(&url.path)?;
        let virtualhost = url.virtualhost.as_ref().or(check.virtualhost.as_ref());
        // A virtual host stands as it is written; an IPv6 address stands in brackets.
        let host = virtualhost.map_or_else(|| format!("{target}"), Clone::clone);
        let host = fits_in_a_line(&host)?;
        let (version, connection) = match check.protocol {
            HttpProtocol::V1_0 => ("1.0", ""),
            HttpProtocol::V1_0Close => ("1.0", "Connection: close\r\n"),
            HttpProtocol::V1_1 => ("1.1", "Connection: close\r\n"),
        };
        let request = format!(
            "GET {path} HTTP/{version}\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n\
             {connection}\r\n"
        );
        let tls = check.tls.as_ref().filter(|tls| tls.sni);
        Ok(Self {
            path: path.into(),
            server_name: tls.and_then(|tls| tls.sni_name.as_ref().or(virtualhost).cloned()),
            request: request.into_bytes(),
            status: url.status.clone(),
            digest: url.digest,
            pattern: url.pattern.as_ref().map(Pattern::new).transpose()?.map(Arc::new),
        })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    fn wants(&self, status: u16) -> Result<(), HttpFault> {
        if self.status.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
            return Ok(());
        }
        Err(HttpFault::Status { status, wanted: self.status.clone() })
    }
}

/// An attempt.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    plan: Arc<HttpPlan>,
    /// The page that is asked for, below the number of pages.
    page: usize,
    reply: Reply,
}

/// What came of the reply.
#[derive(Clone, Debug)]
enum Reply {
    Head(Head),
    Body(Box<Body>),
}

impl Http {
    pub(crate) fn new(plan: Arc<HttpPlan>, url: u32) -> Self {
        let page = if plan.all { 0 } else { url as usize % plan.pages.len() };
        Self { plan, page, reply: Reply::Head(Head::new()) }
    }

    pub(crate) fn page(&self) -> &Page {
        &self.plan.pages[self.page]
    }

    /// Whether the reply is whole.
    fn take(&mut self, octets: &[u8]) -> Result<bool, HttpFault> {
        let page = &self.plan.pages[self.page];
        let head = match &mut self.reply {
            Reply::Body(body) => return body.take(octets),
            Reply::Head(head) => head,
        };
        for (index, octet) in octets.iter().enumerate() {
            match head.push(*octet)? {
                Progress::More => {}
                Progress::Status(status) => page.wants(status)?,
                Progress::Over(framing) => {
                    let mut body = Body::new(framing, page);
                    let whole = body.take(&octets[index + 1..]);
                    self.reply = Reply::Body(Box::new(body));
                    return whole;
                }
            }
        }
        Ok(false)
    }

    /// The reply is whole.
    fn whole(&mut self) -> Step {
        let reply = core::mem::replace(&mut self.reply, Reply::Head(Head::new()));
        if let Reply::Body(body) = reply
            && let Err(fault) = body.judge(self.page())
        {
            return Step::bad(Fault::Http(fault));
        }
        if self.plan.all && self.page + 1 < self.plan.pages.len() {
            self.page += 1;
            return Step::Reopen;
        }
        Step::Over(Verdict::Good)
    }
}

impl Talk for Http {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(&self.page().request);
        Step::Continue
    }

    /// What comes behind the end of the reply is not looked at: nothing more was asked for.
    fn heard(&mut self, octets: &[u8], _out: &mut Vec<u8>) -> Step {
        match self.take(octets) {
            Ok(true) => self.whole(),
            Ok(false) => Step::Continue,
            Err(fault) => Step::bad(Fault::Http(fault)),
        }
    }

    fn closed(&mut self) -> Step {
        match &self.reply {
            Reply::Body(body) if body.is_whole_when_closed() => self.whole(),
            Reply::Body(_) | Reply::Head(_) => Step::bad(Fault::Closed(self.stage())),
        }
    }

    fn stage(&self) -> Stage {
        match &self.reply {
            Reply::Head(head) => head.stage(),
            Reply::Body(body) => body.stage(),
        }
    }

    fn held(&self) -> usize {
        match &self.reply {
            Reply::Head(head) => head.held(),
            Reply::Body(body) => body.held(),
        }
    }
}
