//! Tokens with a known prefix, character set and length, and sometimes a checksum.

use std::ops::Range;

use super::boundary::{after_escape, starts_word};
use super::candidates::FindCandidates;
use super::rules::BuiltInRule;
use Alphabet::{Alnum, Base64, Dashed, Dotted, Hex, Padded, Path, Upper, Url, UrlPath, Word};
use BuiltInRule as R;

/// The characters of a token after its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Url,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Letters, digits and `-`.
    Dashed,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Upper-case letters and digits.
    Upper,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
    /// Letters, digits and `/`.
    Path,
    /// Letters, digits, `/`, `_` and `-`.
    UrlPath,
    /// Letters, digits, `_`, `-` and `=`.
    Padded,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        let alnum = byte.is_ascii_alphanumeric();
        match self {
            Self::Alnum => alnum,
            Self::Word => alnum || byte == b'_',
            Self::Url => alnum || matches!(byte, b'_' | b'-'),
            Self::Dotted => alnum || matches!(byte, b'_' | b'-' | b'.'),
            Self::Dashed => alnum || byte == b'-',
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Base64 => alnum || matches!(byte, b'+' | b'/' | b'='),
            Self::Path => alnum || byte == b'/',
            Self::UrlPath => alnum || matches!(byte, b'/' | b'_' | b'-'),
            Self::Padded => alnum || matches!(byte, b'_' | b'-' | b'='),
        }
    }
}

/// A token format.
#[derive(Debug, Clone, Copy)]
pub struct TokenFormat {
    pub rule: BuiltInRule,
    pub prefix: &'static str,
    alphabet: Alphabet,
    /// The minimum and maximum number of characters after the prefix.
    length: (usize, usize),
    /// An additional test of the characters after the prefix.
    check: Option<fn(&[u8]) -> bool>,
}

impl TokenFormat {
    /// Returns the range of the token whose prefix begins at `start`, if there is one.
    pub fn find(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let body = start + self.prefix.len();
        if text.get(start..body)? != self.prefix.as_bytes() || !starts_word(text, start) {
            return None;
        }
        let longest = &text[body..text.len().min(body + self.length.1 + 1)];
        let mut length = longest.iter().take_while(|byte| self.alphabet.has(**byte)).count();
        // A dot or slash at the end belongs to the sentence or path around the token.
        if matches!(longest[..length].last(), Some(b'.' | b'/')) {
            length -= 1;
        }
        let is_token = (self.length.0..=self.length.1).contains(&length)
            && self.check.is_none_or(|check| check(&longest[..length]));
        is_token.then(|| start..body + length)
    }
}

/// The maximum number of characters in a token of any format.
const MAX_TOKEN_CHARS: usize = 4096;

const fn format(rule: BuiltInRule, prefix: &'static str, alphabet: Alphabet, length: (usize, usize)) -> TokenFormat {
    TokenFormat { rule, prefix, alphabet, length, check: None }
}

const fn checked(
    rule: BuiltInRule,
    prefix: &'static str,
    alphabet: Alphabet,
    length: (usize, usize),
    check: fn(&[u8]) -> bool,
) -> TokenFormat {
    TokenFormat { rule, prefix, alphabet, length, check: Some(check) }
}

/// The formats of tokens with a prefix, as published by their services by 2026.
pub const TOKEN_FORMATS: &[TokenFormat] = &[
    checked(R::GithubToken, "ghp_", Alnum, (36, 36), has_crc32_in_base62),
    checked(R::GithubToken, "gho_", Alnum, (36, 36), has_crc32_in_base62),
    checked(R::GithubToken, "ghu_", Alnum, (36, 36), has_crc32_in_base62),
    checked(R::GithubToken, "ghs_", Alnum, (36, 36), has_crc32_in_base62),
    checked(R::GithubToken, "ghr_", Alnum, (36, 76), has_crc32_in_base62),
    checked(R::GithubToken, "github_pat_", Word, (82, 82), |body| body[22] == b'_'),
    format(R::GitlabToken, "glpat-", Dotted, (20, 320)),
    format(R::GitlabToken, "gldt-", Url, (20, 64)),
    format(R::GitlabToken, "glrt-", Dotted, (20, 320)),
    format(R::GitlabToken, "glptt-", Hex, (40, 40)),
    format(R::GitlabToken, "glcbt-", Dotted, (20, 128)),
    format(R::GitlabToken, "glsoat-", Url, (20, 64)),
    format(R::GitlabToken, "glft-", Url, (20, 64)),
    format(R::GitlabToken, "glagent-", Url, (50, 64)),
    format(R::GitlabToken, "gloas-", Hex, (64, 64)),
    checked(R::NpmToken, "npm_", Alnum, (36, 36), has_crc32_in_base62),
    format(R::PypiToken, "pypi-AgE", Url, (70, MAX_TOKEN_CHARS)),
    format(R::CratesIoToken, "cio", Alnum, (32, 32)),
    format(R::RubygemsToken, "rubygems_", Hex, (48, 48)),
    format(R::DockerHubToken, "dckr_pat_", Url, (27, 32)),
    format(R::DockerHubToken, "dckr_oat_", Url, (32, 40)),
    checked(R::SlackToken, "xoxb-", Dashed, (20, 256), has_digit),
    checked(R::SlackToken, "xoxp-", Dashed, (20, 256), has_digit),
    checked(R::SlackToken, "xoxa-", Dashed, (20, 256), has_digit),
    checked(R::SlackToken, "xoxr-", Dashed, (20, 256), has_digit),
    checked(R::SlackToken, "xoxs-", Dashed, (20, 256), has_digit),
    checked(R::SlackToken, "xoxc-", Dashed, (20, 256), has_digit),
    checked(R::SlackToken, "xoxe-", Dashed, (20, 512), has_digit),
    checked(R::SlackToken, "xoxe.xoxp-", Dashed, (20, 512), has_digit),
    checked(R::SlackToken, "xoxe.xoxb-", Dashed, (20, 512), has_digit),
    checked(R::SlackToken, "xapp-", Dashed, (40, 256), has_digit),
    format(R::SlackWebhook, "hooks.slack.com/services/T", Path, (24, 80)),
    format(R::SlackWebhook, "hooks.slack.com/workflows/T", Path, (24, 120)),
    format(R::DiscordWebhook, "discord.com/api/webhooks/", UrlPath, (78, 120)),
    format(R::DiscordWebhook, "discordapp.com/api/webhooks/", UrlPath, (78, 120)),
    format(R::AwsAccessKeyId, "AKIA", Upper, (16, 16)),
    format(R::AwsAccessKeyId, "ASIA", Upper, (16, 16)),
    format(R::AwsAccessKeyId, "ABIA", Upper, (16, 16)),
    format(R::AwsAccessKeyId, "ACCA", Upper, (16, 16)),
    format(R::GoogleApiKey, "AIza", Url, (35, 35)),
    format(R::GoogleOauthToken, "ya29.", Dotted, (20, MAX_TOKEN_CHARS)),
    format(R::GoogleOauthToken, "GOCSPX-", Url, (28, 28)),
    format(R::GoogleOauthToken, "1//0", Url, (40, 256)),
    format(R::AzureStorageKey, "AccountKey=", Base64, (88, 88)),
    format(R::DigitaloceanToken, "dop_v1_", Hex, (64, 64)),
    format(R::DigitaloceanToken, "doo_v1_", Hex, (64, 64)),
    format(R::DigitaloceanToken, "dor_v1_", Hex, (64, 64)),
    format(R::StripeKey, "sk_live_", Alnum, (16, 256)),
    format(R::StripeKey, "sk_test_", Alnum, (16, 256)),
    format(R::StripeKey, "rk_live_", Alnum, (16, 256)),
    format(R::StripeKey, "rk_test_", Alnum, (16, 256)),
    format(R::StripeKey, "whsec_", Base64, (32, 128)),
    format(R::ShopifyToken, "shpat_", Hex, (32, 32)),
    format(R::ShopifyToken, "shpca_", Hex, (32, 32)),
    format(R::ShopifyToken, "shppa_", Hex, (32, 32)),
    format(R::ShopifyToken, "shpss_", Hex, (32, 32)),
    format(R::SquareToken, "sq0csp-", Url, (43, 43)),
    format(R::SquareToken, "sq0atp-", Url, (22, 22)),
    format(R::AnthropicKey, "sk-ant-", Url, (24, 256)),
    format(R::OpenaiKey, "sk-proj-", Url, (40, 256)),
    format(R::OpenaiKey, "sk-svcacct-", Url, (40, 256)),
    format(R::OpenaiKey, "sk-admin-", Url, (40, 256)),
    checked(R::OpenaiKey, "sk-", Alnum, (48, 48), |body| &body[20..28] == b"T3BlbkFJ"),
    format(R::OpenrouterKey, "sk-or-v1-", Hex, (64, 64)),
    checked(R::HuggingFaceToken, "hf_", Alnum, (34, 37), is_mixed),
    format(R::HuggingFaceToken, "api_org_", Alnum, (34, 34)),
    format(R::GroqKey, "gsk_", Alnum, (52, 52)),
    format(R::ReplicateToken, "r8_", Alnum, (37, 37)),
    format(R::XaiKey, "xai-", Alnum, (80, 80)),
    format(R::PerplexityKey, "pplx-", Alnum, (48, 48)),
    format(R::TwilioKey, "SK", Hex, (32, 32)),
    checked(R::SendgridKey, "SG.", Dotted, (66, 66), |body| body[22] == b'.'),
    format(R::LinearKey, "lin_api_", Alnum, (40, 48)),
    format(R::LinearKey, "lin_oauth_", Alnum, (40, 64)),
    format(R::NotionToken, "secret_", Alnum, (43, 43)),
    format(R::NotionToken, "ntn_", Alnum, (40, 50)),
    format(R::AtlassianToken, "ATATT3", Padded, (100, 256)),
    format(R::AtlassianToken, "ATCTT3", Padded, (100, 256)),
    format(R::FigmaToken, "figd_", Url, (40, 48)),
    checked(R::PostmanKey, "PMAK-", Dashed, (59, 59), |body| body[24] == b'-'),
    format(R::SentryToken, "sntrys_", Padded, (60, MAX_TOKEN_CHARS)),
    format(R::SentryToken, "sntryu_", Hex, (64, 64)),
    checked(R::GrafanaToken, "glsa_", Word, (41, 41), |body| body[32] == b'_'),
    format(R::GrafanaToken, "glc_", Base64, (60, 512)),
    format(R::NewRelicKey, "NRAK-", Upper, (27, 27)),
    format(R::VaultToken, "hvs.", Url, (24, 256)),
    format(R::VaultToken, "hvb.", Url, (60, 512)),
    format(R::VaultToken, "hvr.", Url, (24, 256)),
    format(R::PulumiToken, "pul-", Hex, (40, 40)),
    format(R::DopplerToken, "dp.pt.", Alnum, (40, 44)),
    format(R::DopplerToken, "dp.ct.", Alnum, (40, 44)),
    format(R::DopplerToken, "dp.sa.", Alnum, (40, 44)),
    format(R::DopplerToken, "dp.scim.", Alnum, (40, 44)),
    format(R::DopplerToken, "dp.audit.", Alnum, (40, 44)),
    format(R::DopplerToken, "dp.st.", Dotted, (40, 80)),
    checked(R::DatabricksToken, "dapi", Hex, (32, 32), has_digit),
    format(R::NetlifyToken, "nfp_", Alnum, (36, 40)),
    format(R::SupabaseToken, "sbp_", Hex, (40, 40)),
    format(R::PlanetscaleToken, "pscale_tkn_", Dotted, (32, 64)),
    format(R::PlanetscaleToken, "pscale_pw_", Dotted, (32, 64)),
    format(R::PlanetscaleToken, "pscale_oauth_", Dotted, (32, 64)),
    format(R::TailscaleKey, "tskey-", Dashed, (24, 128)),
    format(R::OnepasswordToken, "ops_eyJ", Base64, (200, MAX_TOKEN_CHARS)),
    format(R::AgeSecretKey, "AGE-SECRET-KEY-1", Upper, (58, 58)),
    format(R::AgeSecretKey, "AGE-SECRET-KEY-PQ-1", Upper, (58, 128)),
];

/// Returns the prefixes of the tokens that a rule finds, such as `ghp_`. Other rules have none.
pub fn token_prefixes(rule: BuiltInRule) -> impl Iterator<Item = &'static str> {
    TOKEN_FORMATS.iter().filter(move |format| format.rule == rule).map(|format| format.prefix)
}

/// Finds the Telegram bot token around `:AA`: the bot ID precedes it, and 33 characters follow.
pub fn telegram_token(text: &str, mark: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let digits = bytes[..mark.start].iter().rev().take(16).take_while(|byte| byte.is_ascii_digit()).count();
    let key = bytes[mark.end..].iter().take(34).take_while(|byte| Url.has(**byte)).count();
    let start = after_escape(bytes, mark.start - digits, mark.start);
    let digits = mark.start - start;
    if (8..=10).contains(&digits) && key == 33 && &bytes[mark.clone()] == b":AA" && starts_word(bytes, start) {
        found.push(R::TelegramBotToken, start..mark.end + key);
    }
}

/// Finds the Terraform token around `.atlasv1.`: 14 characters precede it, and 60 or more follow.
pub fn terraform_token(text: &str, mark: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let id = bytes[..mark.start].iter().rev().take(14).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let key = bytes[mark.end..].iter().take(80).take_while(|byte| Url.has(**byte)).count();
    let start = mark.start - id;
    if id == 14 && key >= 60 && starts_word(bytes, start) {
        found.push(R::TerraformToken, start..mark.end + key);
    }
}

fn has_digit(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit)
}

fn is_mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase)
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Returns true if the last six characters are the CRC-32 of the others, in base 62 with leading zeros.
fn has_crc32_in_base62(body: &[u8]) -> bool {
    let (payload, checksum) = body.split_at(body.len() - 6);
    checksum == crc32_in_base62(payload)
}

/// Returns the checksum of GitHub's and npm's tokens.
fn crc32_in_base62(payload: &[u8]) -> [u8; 6] {
    let mut rest = crc32fast::hash(payload) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits
}
