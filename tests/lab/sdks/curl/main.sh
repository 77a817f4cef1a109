# Asks with curl as scripts do, by IMDSv2. What its lines are: see ../go/main.go; where an SDK says
# its ARN, as STS has it, this can only say the role's name.
endpoint=http://169.254.169.254/latest
roles=$endpoint/meta-data/iam/security-credentials/

get() {
  curl --silent --fail --max-time 2 --header "X-aws-ec2-metadata-token: $token" "$1"
}

echo '"ready"'
while read -r _; do
  ttl='X-aws-ec2-metadata-token-ttl-seconds: 60'
  token=$(curl --silent --fail --max-time 2 --request PUT --header "$ttl" $endpoint/api/token)
  role=$(get $roles) && document=$(get "$roles$role")
  if [ $? -eq 0 ]; then
    key=$(printf '%s\n' "$document" | sed -n 's/^ *"AccessKeyId": "\(.*\)",$/\1/p')
    printf '{"arn": "%s", "key": "%s", "error": ""}\n' "$role" "$key"
  else
    echo '{"arn": "", "key": "", "error": "no credentials"}'
  fi
done
