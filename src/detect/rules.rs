//! The built-in rules and their kinds.

use serde::Serialize;
use strum::{EnumCount, IntoStaticStr, VariantArray};

/// The version of the built-in rules. It increases with every change of what they find, because a redaction can be
/// repeated only with the same rules.
pub const RULES_VERSION: u64 = 3;

/// The kind of a find: it grants access, or identifies a person or a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr, VariantArray)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum FindKind {
    /// Grants access: a token, password or key.
    Secret,
    /// Identifies a person or a machine.
    Personal,
}

impl FindKind {
    /// Returns the name of the kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The first word of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumCount, VariantArray)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum NameStem {
    /// A secret.
    Secret,
    /// A user name.
    User,
    /// An e-mail address.
    Email,
    /// A host name.
    Host,
    /// An IP address.
    Ip,
}

impl NameStem {
    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A built-in rule. Its name is the variant's name in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumCount, VariantArray)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum BuiltInRule {
    // In order of priority: if two rules find the same text, the first one wins.
    PrivateKey,
    AgeSecretKey,
    GithubToken,
    GitlabToken,
    NpmToken,
    PypiToken,
    CratesIoToken,
    RubygemsToken,
    DockerHubToken,
    SlackToken,
    SlackWebhook,
    DiscordToken,
    DiscordWebhook,
    TelegramBotToken,
    AwsAccessKeyId,
    AwsSecretKey,
    GoogleApiKey,
    GoogleOauthToken,
    AzureStorageKey,
    DigitaloceanToken,
    StripeKey,
    ShopifyToken,
    SquareToken,
    AnthropicKey,
    OpenaiKey,
    OpenrouterKey,
    HuggingFaceToken,
    GroqKey,
    ReplicateToken,
    XaiKey,
    PerplexityKey,
    TwilioKey,
    SendgridKey,
    LinearKey,
    NotionToken,
    AtlassianToken,
    FigmaToken,
    PostmanKey,
    SentryToken,
    GrafanaToken,
    NewRelicKey,
    VaultToken,
    TerraformToken,
    PulumiToken,
    DopplerToken,
    DatabricksToken,
    NetlifyToken,
    SupabaseToken,
    PlanetscaleToken,
    TailscaleKey,
    OnepasswordToken,
    Jwt,
    ConnectionPassword,
    AuthorizationHeader,
    NamedSecret,
    AssignedSecret,
    EmailAddress,
    HomeDirectory,
    UserName,
    HostName,
    IpAddress,
}

impl BuiltInRule {
    /// Returns the name of the rule, such as `github-token`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the kind of the rule: secrets or personal data.
    #[must_use]
    pub fn kind(self) -> FindKind {
        match self.stem() {
            NameStem::Secret => FindKind::Secret,
            _ => FindKind::Personal,
        }
    }

    /// Returns the first word of the placeholders for finds of the rule.
    #[must_use]
    pub fn stem(self) -> NameStem {
        match self {
            Self::EmailAddress => NameStem::Email,
            Self::HomeDirectory | Self::UserName => NameStem::User,
            Self::HostName => NameStem::Host,
            Self::IpAddress => NameStem::Ip,
            _ => NameStem::Secret,
        }
    }
}

/// The endings of JSON keys whose values are secrets, in lower case without `_` and `-`.
const SECRET_ENDINGS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "masterkey",
    "encryptionkey",
    "signingkey",
];

/// The keys that have such an ending, but whose values are not secrets.
const NOT_SECRETS: [&str; 16] = [
    "pagetoken",
    "nextpagetoken",
    "nexttoken",
    "continuationtoken",
    "synctoken",
    "canceltoken",
    "resumetoken",
    "stoptoken",
    "eostoken",
    "bostoken",
    "padtoken",
    "unktoken",
    "septoken",
    "masktoken",
    "pertoken",
    "cursortoken",
];

/// The words that identify a key as the name of a secret.
pub const SECRET_WORDS: &[&str] = &[
    "pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "privatekey",
    "private_key",
    "private-key",
    "masterkey",
    "master_key",
    "master-key",
    "encryptionkey",
    "encryption_key",
    "encryption-key",
    "signingkey",
    "signing_key",
    "signing-key",
    "credential",
    "authorization",
    "cookie",
];

/// The maximum length of a name that is checked, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Returns the last identifier of a JSON key, such as `password` of `my password:`. A name in a text is isolated in the
/// same way.
fn last_name(key: &str) -> &str {
    let key = key.trim_end_matches(|c| !is_name_char(c));
    let least = key.len().saturating_sub(MAX_NAME_BYTES);
    let start = key.rfind(|c| !is_name_char(c)).map_or(0, |at| at + key[at..].chars().next().map_or(1, char::len_utf8));
    &key[start.max(least)..]
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Returns true if a JSON key, or the name in an assignment, indicates that the value is a secret.
pub fn names_a_secret(name: &str) -> bool {
    let lower = last_name(name).to_ascii_lowercase();
    if !SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        return false;
    }
    let plain: String = lower.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    SECRET_ENDINGS.iter().any(|ending| plain.ends_with(ending)) && !NOT_SECRETS.iter().any(|name| plain.ends_with(name))
}

/// The meaning of a JSON key for the strings in its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretName {
    /// Strings that look like a password are secrets. The key is `pwd` or `pass`, which can also mean a directory or a
    /// result.
    Short,
    /// Strings that look like a secret are secrets. The key is a plural such as `tokens`.
    Several,
    /// The value, or each element of it, is a secret.
    One,
}

/// Returns the meaning of a JSON key for its value, if it names secrets.
pub fn secret_name(name: &str) -> Option<SecretName> {
    if names_a_secret(name) {
        return Some(SecretName::One);
    }
    if is_short_password(name) {
        return Some(SecretName::Short);
    }
    let singular = last_name(name).strip_suffix(['s', 'S'])?;
    names_a_secret(singular).then_some(SecretName::Several)
}

/// Returns true if the last word of a name is `pwd` or `pass`.
pub fn is_short_password(name: &str) -> bool {
    let name = last_name(name);
    let Some(word) = name.len().checked_sub(4) else { return name.eq_ignore_ascii_case("pwd") };
    let (before, word) = match name[word..].eq_ignore_ascii_case("pass") {
        true => name.split_at(word),
        false => name.split_at(word + 1),
    };
    let is_word = word.eq_ignore_ascii_case("pwd") || word.eq_ignore_ascii_case("pass");
    let is_hump = before.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && word.starts_with('P');
    is_word && (before.is_empty() || before.ends_with(['_', '-']) || is_hump)
}

/// The JSON keys whose values can be names of people, in lower case without `_` and `-`.
const PERSON_VALUES: &str = "\
    account actor approvedby approver assigned assignedto assignee author by committedby committer createdby creator from \
    login maintainer member name owner person requestedby requester reviewedby reviewer to triggeredby updatedby \
    uploader user who";

/// Returns true if the value of a JSON key can be the name of a person.
pub fn can_name_a_person(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    PERSON_VALUES.split(' ').any(|known| known == plain)
}

/// The JSON keys of user and host names, and the rules for their values.
pub const PERSON_KEYS: &[(&str, BuiltInRule)] = &[
    ("username", BuiltInRule::UserName),
    ("user_name", BuiltInRule::UserName),
    ("osuser", BuiltInRule::UserName),
    ("hostname", BuiltInRule::HostName),
    ("host_name", BuiltInRule::HostName),
    ("machinename", BuiltInRule::HostName),
    ("machine_name", BuiltInRule::HostName),
    ("computername", BuiltInRule::HostName),
];

/// Returns the rule for the values of a JSON key that names a user or a host.
pub fn names_a_person(name: &str) -> Option<BuiltInRule> {
    PERSON_KEYS.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, rule)| *rule)
}
