// What a Java program does with an engine's low-level client, whose package is CLIENT and which
// takes its hosts from HTTP: the task's parts are files in the folder args[0], its answers too.
import CLIENT.Request;
import CLIENT.Response;
import CLIENT.ResponseException;
import CLIENT.RestClient;
import HTTP.HttpHost;
import java.nio.file.Files;
import java.nio.file.Path;

public class Foreign {
  static Path folder;
  static RestClient client;

  static Response ask(String method, String target, String body, String answer) throws Exception {
    Request request = new Request(method, target);
    request.setJsonEntity(Files.readString(folder.resolve(body)));
    Response response;
    try {
      response = client.performRequest(request);
    } catch (ResponseException refused) {
      response = refused.getResponse();
    }
    Files.write(folder.resolve(answer), response.getEntity().getContent().readAllBytes());
    return response;
  }

  public static void main(String[] args) throws Exception {
    folder = Path.of(args[0]);
    String index = "/" + args[2];
    client = RestClient.builder(HttpHost.create(args[1])).setCompressionEnabled(true).build();
    ask("PUT", index + "/_doc/one?refresh=true", "document.json", "one.out");
    ask("POST", index + "/_bulk?refresh=true", "bulk.ndjson", "bulk.out");
    ask("POST", index + "/_search", "search.json", "searched.out");
    ask("POST", index + "/_search?size=3&from=0", "search.json", "paged.out");
    ask("POST", index + "/_search?size=3&scroll=1m", "search.json", "scrolled.out");
    ask("POST", index + "/_count", "search.json", "counted.out");
    Response error = ask("POST", index + "/_search", "wrong.json", "error.out");
    int status = error.getStatusLine().getStatusCode();
    Files.writeString(folder.resolve("status.out"), Integer.toString(status));
    client.close();
  }
}
