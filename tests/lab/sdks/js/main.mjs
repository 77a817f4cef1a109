// Asks as an application with the AWS SDK for JavaScript v3 does: no setting of its own, the
// default chain. What its lines are: see ../go/main.go.
import { createInterface } from "node:readline";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const client = new STSClient({});

async function ask() {
  let key;
  try {
    key = (await client.config.credentials()).accessKeyId;
  } catch (error) {
    if (error.name !== "CredentialsProviderError") throw error;
    return { arn: "", key: "", error: error.message };
  }
  const caller = await client.send(new GetCallerIdentityCommand({}));
  return { arn: caller.Arn, key, error: "" };
}

console.log('"ready"');
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await ask()));
}
