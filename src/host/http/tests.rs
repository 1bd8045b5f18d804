use super::{
    odd::{Give, Server, nobody},
    *,
};

const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

async fn ask(url: &Url, limit: Duration, body: Body) -> Result<Answer, HttpError> {
    let http = Http::new(url, &Trust::Platform, Connections::Kept).unwrap();
    http.send(Request::get(url.clone(), limit, body)).await
}

fn said(error: &HttpError, url: &Url) -> String {
    error.to_string().replace(&place(url), "HOST:PORT")
}

#[tokio::test]
async fn any_status_is_an_answer_and_no_redirect_is_followed() {
    let server =
        Server::always(Give::headed(302, "location: http://elsewhere.example/", "moved")).await;
    let answer = ask(&server.url, LONG, Body::Whole(10)).await.unwrap();
    let location = Some("http://elsewhere.example/".to_owned());
    assert_eq!(answer, Answer { status: 302, location, body: b"moved".to_vec() });
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let server = Server::always(Give::Endless).await;
    let error = ask(&server.url, LONG, Body::Whole(64 << 10)).await.unwrap_err();
    insta::assert_snapshot!(said(&error, &server.url), @"HOST:PORT answers with more than 64 KiB, which is not read further");
    let answer = ask(&server.url, LONG, Body::Head(1000)).await.unwrap();
    assert_eq!(answer.body.len(), 1000);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_after_the_limit() {
    let server = Server::always(Give::Silence).await;
    let error = ask(&server.url, SOON, Body::Whole(10)).await.unwrap_err();
    insta::assert_snapshot!(said(&error, &server.url), @"HOST:PORT did not answer completely within 300ms");
}

#[tokio::test]
async fn a_body_that_trickles_for_ever_is_given_up_after_the_limit_too() {
    let server = Server::always(Give::Endless).await;
    let error = ask(&server.url, SOON, Body::Whole(usize::MAX)).await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_ends_in_the_middle_is_cut_off() {
    let server = Server::always(Give::cut_off("half")).await;
    let error = ask(&server.url, LONG, Body::Whole(1000)).await.unwrap_err();
    insta::assert_snapshot!(said(&error, &server.url), @"HOST:PORT cut its answer off (end of file before message length reached)");
    let server = Server::always(Give::Bytes(Vec::new())).await;
    let error = ask(&server.url, LONG, Body::Whole(1000)).await.unwrap_err();
    insta::assert_snapshot!(said(&error, &server.url), @"HOST:PORT cut its answer off (connection closed before message completed)");
}

#[tokio::test]
async fn what_is_no_http_is_said_to_be_none() {
    let server = Server::always(Give::Bytes(b"220 mail.example ESMTP\r\n".to_vec())).await;
    let error = ask(&server.url, LONG, Body::Whole(1000)).await.unwrap_err();
    insta::assert_snapshot!(said(&error, &server.url), @"HOST:PORT gives no usable HTTP answer (invalid HTTP version parsed): is it the right port?");
}

#[tokio::test]
async fn a_refused_connection_says_so_and_names_the_place() {
    let url = nobody().await;
    let error = ask(&url, LONG, Body::Whole(1000)).await.unwrap_err();
    insta::assert_snapshot!(said(&error, &url), @"HOST:PORT refuses the connection: is it running, and is the port right?");
    let url: Url = "http://name.invalid/".parse().unwrap();
    let error = ask(&url, LONG, Body::Whole(1000)).await.unwrap_err();
    assert!(error.to_string().starts_with("name.invalid:80 cannot be reached ("), "{error}");
}

#[tokio::test]
async fn no_error_shows_a_password_of_the_url() {
    let mut url = nobody().await;
    url.set_username("me").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    url.set_query(Some("token=hunter2"));
    let error = ask(&url, LONG, Body::Whole(1000)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_request_shows_what_lets_it_in_and_sends_its_form() {
    let server = Server::always(Give::answer(200, "")).await;
    let http = Http::new(&server.url, &Trust::Platform, Connections::Fresh).unwrap();
    let request = Request::get(server.url.clone(), LONG, Body::Whole(10));
    let bearer = Auth::Bearer("token".into());
    http.send(request.clone().auth(bearer).accept("text/plain")).await.unwrap();
    let basic = Auth::Basic("me".into(), "pass".into());
    http.send(request.auth(basic).form(vec![("query", "a b".into())])).await.unwrap();
    let heard = server.heard();
    assert!(heard[0].starts_with("GET / HTTP/1.1\r\n"), "{}", heard[0]);
    assert!(heard[0].contains("authorization: Bearer token\r\n"), "{}", heard[0]);
    assert!(heard[0].contains("accept: text/plain\r\n"), "{}", heard[0]);
    assert!(!heard[0].contains("accept-encoding"), "{}", heard[0]);
    assert!(heard[1].starts_with("POST / HTTP/1.1\r\n"), "{}", heard[1]);
    assert!(heard[1].contains("authorization: Basic bWU6cGFzcw==\r\n"), "{}", heard[1]);
    assert!(heard[1].ends_with("\r\n\r\nquery=a+b"), "{}", heard[1]);
}

#[tokio::test]
async fn an_unusable_authority_is_named_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let url: Url = "https://127.0.0.1:1/".parse().unwrap();
    let why = || {
        let trust = Trust::Authority(path.clone());
        let error = Http::new(&url, &trust, Connections::Kept).unwrap_err();
        error.to_string().replace(&*dir.path().to_string_lossy(), "DIR")
    };
    insta::assert_snapshot!(why(), @"the certificates of DIR/ca.pem cannot be used (No such file or directory (os error 2)): the file must hold certificates in PEM form");
    std::fs::write(&path, "no pem at all").unwrap();
    insta::assert_snapshot!(why(), @"the certificates of DIR/ca.pem cannot be used (it contains no certificate): the file must hold certificates in PEM form");
}

/// A real TLS server (`openssl s_server`) with a certificate of its own.
struct Tls {
    url: Url,
    certificate: PathBuf,
    process: tokio::process::Child,
    _dir: tempfile::TempDir,
}

impl Tls {
    async fn start() -> Self {
        use tokio::io::AsyncBufReadExt;
        let dir = tempfile::tempdir().unwrap();
        let (key, certificate) = (dir.path().join("key.pem"), dir.path().join("cert.pem"));
        let made = openssl()
            .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-subj", "/CN=a test of rollbackd", "-days", "2"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .await
            .expect("the test needs openssl: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut process = openssl()
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-key"])
            .arg(&key)
            .arg("-cert")
            .arg(&certificate)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("openssl says where it listens");
            if let Some(port) = line.strip_prefix("ACCEPT 127.0.0.1:") {
                break port.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = format!("https://127.0.0.1:{port}/").parse().unwrap();
        Self { url, certificate, process, _dir: dir }
    }
}

fn openssl() -> tokio::process::Command {
    let mut command = tokio::process::Command::new("openssl");
    command.kill_on_drop(true).stderr(std::process::Stdio::piped());
    command
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named_and_only_then() {
    let mut server = Tls::start().await;
    let trust = Trust::Authority(server.certificate.clone());
    let request = Request::get(server.url.clone(), LONG, Body::Head(100));
    let http = Http::new(&server.url, &trust, Connections::Fresh).unwrap();
    assert_eq!(http.send(request.clone()).await.unwrap().status, 200);

    let http = Http::new(&server.url, &Trust::Platform, Connections::Fresh).unwrap();
    let error = http.send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    server.process.kill().await.unwrap();
}
