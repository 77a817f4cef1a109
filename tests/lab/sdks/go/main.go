// Asks as an application with the AWS SDK for Go v2 does: no setting of its own, the default chain.
//
// For each line of its input it says, in a line of JSON, who it is and by which key. It is one
// process for all of them, so that its second answer shows what the SDK has kept or renewed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type answer struct {
	Arn   string `json:"arn"`
	Key   string `json:"key"`
	Error string `json:"error"`
}

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := sts.NewFromConfig(settings)
	output := json.NewEncoder(os.Stdout)
	if err := output.Encode("ready"); err != nil {
		log.Fatal(err)
	}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		if err := output.Encode(ask(ctx, settings, client)); err != nil {
			log.Fatal(err)
		}
	}
}

func ask(ctx context.Context, settings aws.Config, client *sts.Client) answer {
	credentials, err := settings.Credentials.Retrieve(ctx)
	if err != nil {
		return answer{Error: err.Error()}
	}
	caller, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		log.Fatal(err)
	}
	return answer{Arn: *caller.Arn, Key: credentials.AccessKeyID}
}
