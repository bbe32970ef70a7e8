//! Made-up secrets and personal data of every built-in rule, and the places in a log where they can stand.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use data_encoding::{BASE64, BASE64URL_NOPAD};

use super::random::Random;

/// A text of which a rule finds a part.
#[derive(Debug, Clone)]
pub struct Planted {
    /// The rule.
    pub rule: &'static str,
    /// The text.
    pub text: String,
    /// The part that must not remain.
    pub secret: String,
}

/// The name of a user that the planted home directories have.
pub const USER: &str = "marlowe";

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const URL: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
const HEX: &[u8] = b"0123456789abcdef";
const UPPER: &[u8] = b"234567ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Returns the prefix, the characters and the number of these for tokens without a checksum.
fn formats() -> Vec<(&'static str, &'static str, &'static [u8], usize)> {
    vec![
        ("gitlab-token", "glpat-", URL, 20),
        ("gitlab-token", "gldt-", URL, 20),
        ("gitlab-token", "glrt-", URL, 20),
        ("gitlab-token", "glptt-", HEX, 40),
        ("gitlab-token", "glcbt-", URL, 20),
        ("gitlab-token", "glsoat-", URL, 20),
        ("gitlab-token", "glft-", URL, 20),
        ("gitlab-token", "glagent-", URL, 50),
        ("gitlab-token", "gloas-", HEX, 64),
        ("pypi-token", "pypi-AgE", URL, 120),
        ("crates-io-token", "cio", BASE62, 32),
        ("rubygems-token", "rubygems_", HEX, 48),
        ("docker-hub-token", "dckr_pat_", URL, 27),
        ("docker-hub-token", "dckr_oat_", URL, 32),
        ("slack-token", "xoxb-123456789012-1234567890123-", BASE62, 24),
        ("slack-token", "xoxp-1", BASE62, 40),
        ("slack-token", "xoxa-", BASE62, 20),
        ("slack-token", "xoxr-", BASE62, 20),
        ("slack-token", "xoxs-", BASE62, 20),
        ("slack-token", "xoxc-", BASE62, 20),
        ("slack-token", "xoxe-", BASE62, 20),
        ("slack-token", "xoxe.xoxp-", BASE62, 20),
        ("slack-token", "xoxe.xoxb-", BASE62, 20),
        ("slack-token", "xapp-1-A01-1234-", HEX, 64),
        ("slack-webhook", "hooks.slack.com/services/T", BASE62, 24),
        ("slack-webhook", "hooks.slack.com/workflows/T", BASE62, 24),
        ("discord-webhook", "discord.com/api/webhooks/", URL, 78),
        ("discord-webhook", "discordapp.com/api/webhooks/", URL, 78),
        ("aws-access-key-id", "AKIA2", UPPER, 15),
        ("aws-access-key-id", "ASIA2", UPPER, 15),
        ("aws-access-key-id", "ABIA", UPPER, 16),
        ("aws-access-key-id", "ACCA", UPPER, 16),
        ("google-api-key", "AIza", URL, 35),
        ("google-oauth-token", "ya29.", URL, 60),
        ("google-oauth-token", "GOCSPX-", URL, 28),
        ("google-oauth-token", "1//0", URL, 40),
        ("azure-storage-key", "AccountKey=", BASE62, 88),
        ("digitalocean-token", "dop_v1_", HEX, 64),
        ("digitalocean-token", "doo_v1_", HEX, 64),
        ("digitalocean-token", "dor_v1_", HEX, 64),
        ("stripe-key", "sk_live_", BASE62, 24),
        ("stripe-key", "sk_test_", BASE62, 16),
        ("stripe-key", "rk_live_", BASE62, 16),
        ("stripe-key", "rk_test_", BASE62, 24),
        ("stripe-key", "whsec_", BASE62, 32),
        ("shopify-token", "shpat_", HEX, 32),
        ("shopify-token", "shpca_", HEX, 32),
        ("shopify-token", "shppa_", HEX, 32),
        ("shopify-token", "shpss_", HEX, 32),
        ("square-token", "sq0csp-", URL, 43),
        ("square-token", "sq0atp-", URL, 22),
        ("anthropic-key", "sk-ant-api03-", URL, 95),
        ("openai-key", "sk-proj-", URL, 74),
        ("openai-key", "sk-svcacct-", URL, 40),
        ("openai-key", "sk-admin-", URL, 40),
        ("openrouter-key", "sk-or-v1-", HEX, 64),
        ("hugging-face-token", "hf_aB", BASE62, 32),
        ("hugging-face-token", "api_org_", BASE62, 34),
        ("groq-key", "gsk_", BASE62, 52),
        ("replicate-token", "r8_", BASE62, 37),
        ("xai-key", "xai-", BASE62, 80),
        ("perplexity-key", "pplx-", BASE62, 48),
        ("twilio-key", "SK", HEX, 32),
        ("linear-key", "lin_api_", BASE62, 40),
        ("linear-key", "lin_oauth_", BASE62, 40),
        ("notion-token", "secret_", BASE62, 43),
        ("notion-token", "ntn_", BASE62, 46),
        ("atlassian-token", "ATATT3", URL, 186),
        ("atlassian-token", "ATCTT3", URL, 100),
        ("figma-token", "figd_", URL, 40),
        ("sentry-token", "sntrys_", URL, 60),
        ("sentry-token", "sntryu_", HEX, 64),
        ("grafana-token", "glc_", BASE62, 60),
        ("new-relic-key", "NRAK-", UPPER, 27),
        ("vault-token", "hvs.", URL, 90),
        ("vault-token", "hvb.", URL, 60),
        ("vault-token", "hvr.", URL, 24),
        ("pulumi-token", "pul-", HEX, 40),
        ("doppler-token", "dp.pt.", BASE62, 43),
        ("doppler-token", "dp.ct.", BASE62, 40),
        ("doppler-token", "dp.sa.", BASE62, 40),
        ("doppler-token", "dp.scim.", BASE62, 40),
        ("doppler-token", "dp.audit.", BASE62, 40),
        ("doppler-token", "dp.st.", URL, 40),
        ("databricks-token", "dapi1", HEX, 31),
        ("netlify-token", "nfp_", BASE62, 36),
        ("supabase-token", "sbp_", HEX, 40),
        ("planetscale-token", "pscale_tkn_", URL, 43),
        ("planetscale-token", "pscale_pw_", URL, 32),
        ("planetscale-token", "pscale_oauth_", URL, 32),
        ("tailscale-key", "tskey-auth-", BASE62, 40),
        ("onepassword-token", "ops_eyJ", BASE62, 400),
        ("age-secret-key", "AGE-SECRET-KEY-1", UPPER, 58),
        ("age-secret-key", "AGE-SECRET-KEY-PQ-1", UPPER, 58),
        ("telegram-bot-token", "1234567890:AA", URL, 33),
    ]
}

fn body(random: &mut Random, alphabet: &[u8], length: usize) -> String {
    let mut body: String =
        (0..length).map(|_| char::from(alphabet[random.below(alphabet.len() as u64) as usize])).collect();
    // A hyphen or dot at an end would look like punctuation.
    body.replace_range(length - 1.., "7");
    body.replace_range(..1, "4");
    body
}

/// Appends the checksum of GitHub's and npm's tokens.
fn with_checksum(payload: &str) -> String {
    let mut rest = crc32fast::hash(payload.as_bytes()) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    format!("{payload}{}", String::from_utf8(digits.to_vec()).unwrap())
}

/// Returns a text of each built-in rule and format. [`USER`] must be in the path of a home directory of the same bundle.
pub fn planted(seed: u64) -> Vec<Planted> {
    let random = &mut Random::new(seed);
    let mut all = Vec::new();
    let mut add = |rule: &'static str, text: String, secret: String| all.push(Planted { rule, text, secret });
    for (rule, prefix, alphabet, length) in formats() {
        let token = format!("{prefix}{}", body(random, alphabet, length));
        add(rule, format!("use {token}, please"), token);
    }
    for prefix in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"] {
        let token = format!("{prefix}{}", with_checksum(&body(random, BASE62, 30)));
        add(if prefix == "npm_" { "npm-token" } else { "github-token" }, format!("({token})"), token);
    }
    let pairs = [
        ("github-token", format!("github_pat_{}_{}", body(random, BASE62, 22), body(random, BASE62, 59))),
        ("sendgrid-key", format!("SG.{}.{}", body(random, URL, 22), body(random, URL, 43))),
        ("postman-key", format!("PMAK-{}-{}", body(random, HEX, 24), body(random, HEX, 34))),
        ("grafana-token", format!("glsa_{}_{}", body(random, BASE62, 32), body(random, HEX, 8))),
        ("openai-key", format!("sk-{}T3BlbkFJ{}", body(random, BASE62, 20), body(random, BASE62, 20))),
        (
            "discord-token",
            format!("M{}.{}.{}", body(random, BASE62, 25), body(random, BASE62, 6), body(random, URL, 30)),
        ),
        ("terraform-token", format!("{}.atlasv1.{}", body(random, BASE62, 14), body(random, BASE62, 67))),
        ("jwt", jwt(random)),
        ("slack-webhook", format!("hooks.slack.com/services/T12345678/B12345678/{}", body(random, BASE62, 24))),
        ("discord-webhook", format!("discord.com/api/webhooks/123456789012345678/{}", body(random, URL, 68))),
        ("azure-storage-key", format!("AccountKey={}==", body(random, BASE62, 86))),
    ];
    for (rule, token) in pairs {
        add(rule, format!("a {token} b"), token);
    }
    let key = format!("{}+/{}", body(random, BASE62, 19), body(random, BASE62, 19));
    add("aws-secret-key", format!("AKIA2{} {key}", body(random, UPPER, 15)), key);
    for label in ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK", "PRIVATE KEY"] {
        let lines = body(random, BASE62, 64);
        let text = format!("-----BEGIN {label}-----\n{lines}\n{lines}\n-----END {label}-----\n");
        add("private-key", text, lines);
    }
    let cut = body(random, BASE62, 64);
    add("private-key", format!("-----BEGIN EC PRIVATE KEY-----\n{cut}"), cut);
    add_without_format(random, &mut add);
    add_personal(random, &mut add);
    all
}

fn jwt(random: &mut Random) -> String {
    let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
    format!("{}.{}.{}", part(r#"{"alg":"HS256"}"#), part(r#"{"sub":"1234567890"}"#), body(random, URL, 43))
}

fn add_without_format(random: &mut Random, add: &mut impl FnMut(&'static str, String, String)) {
    for (before, after) in [
        ("Server=db;Database=x;User Id=sa;Password=", ";Encrypt=yes"),
        ("Driver={SQL Server};Server=db;UID=sa;PWD=", ";"),
        ("AccountName=a;AccountKey=", ";EndpointSuffix=core.windows.net"),
        ("Endpoint=sb://example.com/;SharedAccessKeyName=n;SharedAccessKey=", ""),
        ("host=db port=5432 user=svc password=", " dbname=x"),
        ("jdbc:mysql://localhost/x?user=svc&password=", "&ssl=true"),
        ("postgres://svc:", "@db.corp.internal:5432/x"),
        ("mongodb+srv://svc:", "@10.1.2.3"),
        ("https://x-access-token:", "@git.corp.internal/x.git"),
    ] {
        let password = body(random, BASE62, 12);
        add("connection-password", format!("{before}{password}{after}"), password);
    }
    for scheme in ["Bearer", "bearer"] {
        let token = body(random, URL, 40);
        add("authorization-header", format!("-H 'X: {scheme} {token}'"), token);
    }
    let basic = BASE64.encode(format!("svc:{}", body(random, BASE62, 12)).as_bytes());
    add("authorization-header", format!("Basic {basic}"), basic);
    for (before, after) in [
        ("curl -sS -u svc:", " https://example.com/x"),
        ("curl -XPOST --user 'svc:", "' -v"),
        ("curl -kusvc:", " x"),
        ("-H 'Cookie: theme=dark; sid=", "; lang=en'"),
        ("Set-Cookie: sid=", "; Path=/; HttpOnly"),
        ("export DB_PASSWORD=", " next"),
        ("curl --token ", " -v"),
        ("apiKey: '", "',"),
        ("client_secret=", "&x=1"),
        (r#"{"password":""#, r#""}"#),
        (r#"{\"auth_token\": \""#, r#"\"}"#),
    ] {
        let value = body(random, BASE62, 14);
        add("assigned-secret", format!("{before}{value}{after}"), value);
    }
}

fn add_personal(random: &mut Random, add: &mut impl FnMut(&'static str, String, String)) {
    for domain in ["corp.internal", "mail.acme.io", "müller.de"] {
        let address = format!("jane.d{}@{domain}", body(random, HEX, 6));
        add("email-address", format!("<{address}>"), address);
    }
    for (before, after) in [
        ("/home/", "/src"),
        ("/Users/", ""),
        (r"C:\Users\", r"\AppData"),
        ("file:///home/", "/x"),
        ("-I/home/", "/include"),
        ("/mnt/c/Users/", "/x"),
    ] {
        let name = format!("nora{}", body(random, HEX, 5));
        add("home-directory", format!("in {before}{name}{after}"), name);
    }
    for text in ["ask marlowe about it", "-Users-marlowe-project", "by Marlowe."] {
        add("user-name", text.to_owned(), if text.contains('M') { "Marlowe" } else { USER }.to_owned());
    }
    for (before, after) in [("https://", ".corp.internal/x?y=1"), ("ws://", ":8080"), ("scp git@", ".corp.io:x/y .")] {
        let host = format!("box{}", body(random, HEX, 6));
        add("host-name", format!("{before}{host}{after}"), host);
    }
    for address in ["10.20.30.40", "172.16.254.3", "2a01:4f8:c0c:9e5b::1", "fe80::1ff:fe23:4567:890a"] {
        add("ip-address", format!("at {address} now"), address.to_owned());
    }
}

/// A way to put a text into a line of a log.
pub type Place = fn(&str) -> Vec<u8>;

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a text with every so many characters as an escape.
fn escaped(text: &str, every: usize) -> String {
    let mut escaped = String::new();
    for (at, c) in text.chars().enumerate() {
        if at % every == 0 {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}"));
        } else {
            let quoted = json(&c.to_string());
            escaped += &quoted[1..quoted.len() - 1];
        }
    }
    escaped
}

/// Returns the places, by name.
pub fn places() -> Vec<(&'static str, Place)> {
    vec![
        ("value", |text| format!(r#"{{"createdAt":1,"x":{}}}"#, json(text)).into()),
        ("key", |text| format!(r#"{{"createdAt":1,{}:1}}"#, json(text)).into()),
        ("nested", |text| format!(r#"{{"a":[{{"b":["",{}]}}]}}"#, json(text)).into()),
        ("escapes", |text| format!(r#"{{"x":"{}"}}"#, escaped(text, 1)).into()),
        ("some escapes", |text| format!(r#"{{"x":"{}"}}"#, escaped(text, 3)).into()),
        ("escaped slashes", |text| format!(r#"{{"x":{}}}"#, json(text).replace('/', r"\/")).into()),
        ("string in a string", |text| format!(r#"{{"x":{}}}"#, json(&format!(r#"{{"n":{}}}"#, json(text)))).into()),
        ("escapes of a string in a string", |text| {
            format!(r#"{{"x":{}}}"#, json(&format!(r#"{{"n":"{}"}}"#, escaped(text, 1)))).into()
        }),
        ("some escapes of a string in strings", |text| {
            let inner = json(&format!(r#"{{"n":"{}"}}"#, escaped(text, 3)));
            format!(r#"{{"x":{}}}"#, json(&format!(r#"{{"m":{inner}}}"#))).into()
        }),
        ("line of a string in a string", |text| {
            format!(r#"{{"x":{}}}"#, json(&format!(r#"{{"n":{}}}"#, json(&format!("a\n{text}\nb"))))).into()
        }),
        ("line of a string", |text| format!(r#"{{"x":{}}}"#, json(&format!("a\n{text}\nb\t"))).into()),
        ("coloured", |text| format!(r#"{{"x":{}}}"#, json(&format!("\u{1b}[1;31m{text}\u{1b}[0m"))).into()),
        ("plain string", |text| json(text).into()),
        ("array", |text| format!("[{},2]", json(text)).into()),
        ("torn row", |text| format!(r#"{{"x":{},"y":"to"#, json(text)).into()),
        ("torn row with escapes", |text| format!(r#"{{"y":1,"x":"{}","#, escaped(text, 1)).into()),
        ("invalid row", |text| [format!(r#"{{"y":1,"x":{},"z":""#, json(text)).as_bytes(), b"\xff\"}"].concat()),
        ("invalid line", |text| [text.replace('\n', "\\n").as_bytes(), b" \xfe\0"].concat()),
        ("line", |text| text.replace('\n', "\\n").into()),
        ("line with CR", |text| format!("{}\r", text.replace('\n', "\\n")).into()),
    ]
}
