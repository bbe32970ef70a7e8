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
