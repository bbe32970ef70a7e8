# Functions of jq that jaq lacks.
def IN(values): . as $value | any(values; . == $value);
def IN(stream; values): any(stream; IN(values));
def INDEX(stream; key): reduce stream as $value ({}; .[$value | key | tostring] = $value);
def INDEX(key): INDEX(.[]; key);
def leaf_paths: paths(scalars);

def cell(of_string):
  if isstring then of_string
  elif . == null then ""
  elif isarray or isobject then error("\(tojson) can't be a cell")
  else tojson end;
def @csv: map(cell("\"\(gsub("\""; "\"\""))\"")) | join(",");
def @tsv:
  map(cell(gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r"))) | join("\t");

# Functions of jq that differ in jaq.
def del(f): delpaths([path(f)]);
def join($s):
  reduce .[] as $value (null;
    (if . == null then "" else . + $s end)
    + ($value | if . == null then "" elif isboolean or isnumber then tojson end)) // "";
def from_entries:
  reduce .[] as $entry ({}; . + ($entry | {
    ((if .key == null then .k // .name // .Name // .K // .Key else .key end) | if isstring then . else tojson end):
      (if has("value") then .value elif has("v") then .v else .Value end)}));
def with_entries(f): to_entries | map(f) | from_entries;
def match(re; flags): matches(re; flags)[] | .[0] + { captures: .[1:] };
def match(re): match(re; "");
def scan(re; flags): matches(re; "g" + flags)[] | if length > 1 then [.[1:][].string] else .[0].string end;
def scan(re): scan(re; "");
