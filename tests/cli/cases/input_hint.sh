# shellcheck disable=SC1003 # the backslash belongs to the JSON
replay() { "$TUMBLE" replay -w 60 -a count -q "$@"; }
echo '{"type": "x", "n": [1, [{"a": 1}]], "e": {}, "body": {"features": [ {"ts": 1}, {"ts": 2}]}}' > in
replay in
replay -t ts in
replay -t ts --records-at /body/features -f csv in
echo '{"Records": [{"messageId": "1", "body": "x", "eventSource": "aws:sqs"}]}' > in
replay in
echo '{"Records": [{"EventSource": "aws:sns", "Sns": {}}]}' > in
replay -t ts in
printf '%s\n' '{"ts": 1, "tags": [{"a": 1}]}' '{"ts": "x"}' > in
replay -t ts in
echo '{"a": "[{\"b\": 1}]", "c": [], "d": [[{}]], "e": {"f": {"g": {"h": {"i": [{}]}}}}}' > in
replay -t ts in
for text in '{"a\"b": [{}]}' '{"a/b": [{}]}' '{"": {"a": [{}]}}' '[{"a": [{}]}]' '{"a": [[[{}' '{"a": "' '{"a": [' '{"a": [{' '{"Records": [{"eventSource"' '{"Records": [{"eventSource": "aws:' '"' '{"a\'; do
  printf '%s' "$text" > in
  replay -t ts in 2>&1 | grep note
done
