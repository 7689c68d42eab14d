"""What common-dynamo costs beside other Python ways to DynamoDB, measured side by side in one run."""
